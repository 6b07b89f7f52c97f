"""How long the random test runs."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--machine-steps",
        dest="machine_steps",
        type=int,
        default=None,
        help="run the protocol's random test for at least this many steps, new ones each time",
    )
