"""Every workflow test here runs in both modes."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[1000, 0], ids=["in-place", "replayed"])
def mode(request: pytest.FixtureRequest) -> int:
    """How many suspended workflows a worker keeps: all of them, or none, so that each resume is a replay."""
    return request.param
