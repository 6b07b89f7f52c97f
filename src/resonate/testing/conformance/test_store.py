"""The store's contract."""

from __future__ import annotations

import asyncio

import pytest

from resonate.core.protocol.settings import DEFAULT_SETTINGS
from resonate.testing.clock import VirtualClock
from resonate.testing.conformance.subjects import Options, opened
from resonate.testing.contracts import STORE_CHECKS, StoreCheck, run_store_check


def _id(check: StoreCheck) -> str:
    return f"{check.__module__.rpartition('.')[2]}-{check.__name__}"


@pytest.mark.parametrize("check", STORE_CHECKS, ids=_id)
def test_store(check: StoreCheck, request: pytest.FixtureRequest) -> None:
    """Hold a store to one promise of the port."""
    options = Options(request.config)
    make = options.named("--store")
    subject = check.__module__.rpartition(".")[2]
    with opened(make) as backend:
        dialect = backend(VirtualClock(auto_jump=False)).connect(group="workers", pid="w1").dialect
        if subject == "searches" and not dialect.searches:
            pytest.skip("its dialect says that it serves no searches")
    with opened(make) as backend:
        asyncio.run(
            run_store_check(
                check,
                backend,
                retry_interval=options.number("--store-retry-interval", DEFAULT_SETTINGS.retry_interval),
                latency=options.number("--store-latency", 0),
            )
        )
