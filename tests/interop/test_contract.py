"""The store's contract, held against servers that somebody else wrote: where they keep it, and where they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from resonate.testing.contracts import STORE_CHECKS, StoreCheck, run_store_check
from tests.interop import peers
from tests.interop.debugged import DebuggedServer

pytestmark = pytest.mark.interop

RETRY_MS = 30_000


@pytest.fixture(scope="module", params=["node", "server"])
def debugged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server in debug mode: its name and URL."""
    if request.param == "node":
        if why_not := peers.no_node():
            pytest.skip(why_not)
        with peers.node_server("--debug") as process:
            yield process.hello["package"], process.hello["url"]
        return
    if not peers.COMMAND:
        pytest.skip("RESONATE_TEST_SERVER_COMMAND is not set: how to start a server")
    options = ("--debug", "--messages-poll-interval", "2", "--timeouts-poll-interval", "100000000")
    with peers.OwnServer(tmp_path_factory.mktemp("debugged"), options) as server:
        yield f"Resonate server ({peers.COMMAND.split()[0]})", server.url


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: StoreCheck, debugged: tuple[str, str], record_property: Any) -> None:
    name, url = debugged
    async with asyncio.timeout(20):
        await run_store_check(check, lambda clock: DebuggedServer(url, clock), retry_interval=RETRY_MS)
