"""A system in memory on virtual time, for every test of the client."""

from __future__ import annotations

import pytest
from attrs import evolve

from resonate.testing import FIELD, NO_SEARCHES, Harness

DIALECTS = {"ours": None, "field": FIELD, "no searches": NO_SEARCHES}


@pytest.fixture(params=DIALECTS)
async def harness(request):
    """Clients have a day for an execution, as they have by default, and a second of grace."""
    dialect = DIALECTS[request.param]
    async with Harness(grace=1, dialect=dialect and evolve(dialect, loses_messages=False)) as harness:
        yield harness


@pytest.fixture
async def client(harness):
    """One open client, on its own in its group."""
    return await harness.open(harness.client(pid="one"))


@pytest.fixture
def searches(harness):
    """Skip what is about searches where there are none."""
    if harness.backend is not harness.server and not harness.backend.dialect.searches:
        pytest.skip("this server serves no searches")
