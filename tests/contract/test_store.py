from itertools import count
from pathlib import Path

import pytest

from resonate.adapters.http import HttpBackend
from resonate.adapters.memory import MemoryServer
from resonate.adapters.sqlite import SqliteServer
from resonate.testing import HttpFront
from resonate.testing.contracts import STORE_CHECKS, StoreCheck, run_store_check


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_memory_server(check: StoreCheck) -> None:
    await run_store_check(check, MemoryServer)


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_sqlite_server(check: StoreCheck, tmp_path: Path) -> None:
    files = count()
    await run_store_check(
        check, lambda clock: SqliteServer(tmp_path / f"{next(files)}.db", clock=clock, durability="normal")
    )


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_memory_server_over_http(check: StoreCheck) -> None:
    def make(clock):
        front = HttpFront(MemoryServer(clock))
        return HttpBackend("http://front", client=front.client, clock=clock)

    await run_store_check(check, make)
