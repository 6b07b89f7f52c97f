"""Every workflow test here runs in both modes."""

from __future__ import annotations

import pytest
from attrs import evolve

from resonate.core.protocol.dialect import Dialect
from resonate.testing import FIELD, NO_SEARCHES, OLDER

DIALECTS = {"ours": None, "field": FIELD, "older": OLDER, "no searches": NO_SEARCHES}


@pytest.fixture(params=[1000, 0], ids=["in-place", "replayed"])
def mode(request: pytest.FixtureRequest) -> int:
    """How many suspended workflows a worker keeps: all of them, or none, so that each resume is a replay."""
    return request.param


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect | None:
    """How the server speaks; None for our own. Messages cross no network here, whatever it says."""
    chosen = DIALECTS[request.param]
    return None if chosen is None else evolve(chosen, loses_messages=False)
