"""Asks the store, before a step that has failed is tried again, whether there is still reason to.

While an attempt is driven nobody tells its process that the execution, or the promise of a step, was canceled
elsewhere. The next write is refused or told; a step that is tried again and again writes nothing.

Law 1: it is asked once for each further try, and never where no try failed.
Law 2: a store that fails or does not answer tells nothing: the step is tried again, as long as the lease lasts.
"""

from __future__ import annotations

import asyncio
from typing import Final

from attrs import frozen

from resonate.core.protocol.records import PromiseRecord, PromiseState, TaskState
from resonate.core.protocol.requests import PromiseGet, PromiseReply, Rejection, Status, TaskGet, TaskReply
from resonate.errors import StoreError
from resonate.ports.clock import Clock
from resonate.ports.store import Store

PATIENCE_MS: Final = 5_000
"""So long a further try is put off by a store that does not answer."""
_SETTLED: Final = "its promise was settled from outside"


@frozen
class NotHeld:
    """The task under which the step runs is not ours any more."""

    reason: str


async def news_of(
    step_id: str, task_id: str, version: int, store: Store, clock: Clock
) -> PromiseRecord | NotHeld | None:
    """Return the step's promise if it has settled, `NotHeld` if the task is lost; None if neither is known."""
    loop = asyncio.get_running_loop()
    asking = loop.create_task(_ask(step_id, task_id, version, store))
    limit = loop.create_task(clock.sleep_until(clock.now() + PATIENCE_MS))
    try:
        await asyncio.wait({asking, limit}, return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() else None
    finally:
        asking.cancel()
        limit.cancel()


async def _ask(step_id: str, task_id: str, version: int, store: Store) -> PromiseRecord | NotHeld | None:
    try:
        task, promise = await store.send_all((TaskGet(task_id), PromiseGet(step_id)))
    except StoreError:
        return None  # if it matters, the lease ends
    match task:
        case TaskReply(task=known) if known.state is TaskState.FULFILLED:
            return NotHeld(_SETTLED)
        case TaskReply(task=known) if known.state is not TaskState.ACQUIRED or known.version != version:
            return NotHeld(f"it was {known.state.value} in version {known.version} when a step was to be tried again")
        case Rejection(status=Status.NOT_FOUND):
            return NotHeld(task.message)
        case _:
            pass  # nothing of the task, but there may be news of the step
    if isinstance(promise, PromiseReply) and promise.promise.state is not PromiseState.PENDING:
        return NotHeld(_SETTLED) if step_id == task_id else promise.promise
    return None
