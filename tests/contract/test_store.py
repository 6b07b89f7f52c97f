import pytest

from resonate.adapters.memory import MemoryServer
from resonate.testing.contracts import STORE_CHECKS, StoreCheck, run_store_check


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_memory_server(check: StoreCheck) -> None:
    await run_store_check(check, MemoryServer)
