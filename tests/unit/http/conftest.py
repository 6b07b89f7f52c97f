from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from resonate.adapters.remote import RemoteStore
from resonate.core.protocol.dialect import OURS
from tests.unit.http.wild import Wild


@pytest.fixture
def wild() -> Wild:
    """A server that can be told to misbehave."""
    return Wild()


@pytest.fixture
async def store(wild: Wild) -> AsyncIterator[RemoteStore]:
    """A store of it that has been started without a question."""
    store = wild.backend(dialect=OURS, timeout=60).connect(group="g", pid="p")
    await store.start()
    wild.requests.clear()
    yield store
    await store.stop()
