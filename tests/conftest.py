"""What all tests share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from resonate import logs

# A busy machine is no bug, so no example has a deadline, and none is too slow; a failure prints what reproduces it.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("project")
# Nor is a log line late on one, whose handler a test reads from.
logs.PATIENCE = 5.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the command line say how long the random test of the protocol runs."""
    parser.addoption(
        "--machine-steps",
        dest="machine_steps",
        type=int,
        default=None,
        help="run the protocol's random test for at least this many steps, new ones each time",
    )
    parser.addoption(
        "--payloads",
        type=int,
        default=None,
        help="attack each codec with so many changed payloads, others than by default",
    )
