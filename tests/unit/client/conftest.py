"""A system in memory on virtual time, for every test of the client."""

from __future__ import annotations

import pytest

from resonate.testing import Harness


@pytest.fixture
async def harness():
    """Clients have a day for an execution, as they have by default, and a second of grace."""
    async with Harness(grace=1) as harness:
        yield harness


@pytest.fixture
async def client(harness):
    """One open client, on its own in its group."""
    return await harness.open(harness.client(pid="one"))
