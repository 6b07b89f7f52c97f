"""The store's contract as a whole."""

from __future__ import annotations

from typing import Final

from resonate.core.protocol.settings import DEFAULT_SETTINGS
from resonate.testing.contracts.store import (
    connections,
    deliveries,
    mistakes,
    promises,
    schedules,
    searches,
    tasks,
    timers,
)
from resonate.testing.contracts.store.stage import MakeBackend, StoreCheck, staged

STORE_CHECKS: Final[tuple[StoreCheck, ...]] = (
    *connections.CHECKS,
    *promises.CHECKS,
    *tasks.CHECKS,
    *deliveries.CHECKS,
    *timers.CHECKS,
    *schedules.CHECKS,
    *searches.CHECKS,
    *mistakes.CHECKS,
)
"""Every check, each a coroutine function of a `Stage`."""


async def check_store(
    make_backend: MakeBackend, *, retry_interval: int = DEFAULT_SETTINGS.retry_interval, latency: int = 0
) -> None:
    """Run every check, each against a backend of its own. Raise `AssertionError` at the first promise broken.

    Args:
        make_backend: returns a new, empty backend on the given clock. The clock moves only when a check moves it;
            work that the backend does in threads is to be said to it by `busy`.
        retry_interval: the backend's, in ms.
        latency: ms of (virtual) time that a message may take to arrive; 0 if nothing is polled for.
    """
    for check in STORE_CHECKS:
        await run_store_check(check, make_backend, retry_interval=retry_interval, latency=latency)


async def run_store_check(
    check: StoreCheck,
    make_backend: MakeBackend,
    *,
    retry_interval: int = DEFAULT_SETTINGS.retry_interval,
    latency: int = 0,
) -> None:
    """Run one check. See `check_store` for the arguments."""
    async with staged(make_backend, retry_interval=retry_interval, latency=latency) as stage:
        await check(stage)
