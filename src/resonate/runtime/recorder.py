"""Asks a store for all that belongs to one execution.

Law 1: nothing is written, and no task is touched.
Law 2: the execution's own promise is asked for first: what settles meanwhile is in the history before it is its end.
"""

from __future__ import annotations

from typing import Final

from resonate.core import ids
from resonate.core.engine.identity import CALLER
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag
from resonate.core.protocol.requests import PromiseGet, PromiseReply, PromiseSearch, Rejection
from resonate.errors import NotFound, UsageError
from resonate.ports.store import Store
from resonate.runtime.paging import page_of
from resonate.runtime.recording import Recording

PAGE: Final = 1_000
TRIES: Final = 5


async def record(store: Store, execution_id: str, now: int) -> Recording:
    """Return an execution as it is stored now. Raise `NotFound`, `StoreError`.

    Executions that it detached are not part of it.
    """
    if not store.dialect.searches:
        raise UsageError(
            "This server serves no searches, and without them an execution can't be recorded.",
            hint="Record it where it is stored, or on a server that does.",
        )
    reply = await store.send(PromiseGet(execution_id))
    if not isinstance(reply, PromiseReply):
        raise NotFound(f"There is no execution {execution_id}: {reply.message}.", step=execution_id)
    promise, separator = reply.promise, store.dialect.separator
    found, pages = await _below(store, execution_id)
    for _ in range(TRIES):  # what is read in several pages may have gone on between them
        if pages == 1 or promise.state is not PromiseState.PENDING:
            break
        again, pages = await _below(store, execution_id)
        if again.keys() == found.keys():
            break
        found = again
    return Recording(promise=promise, history=belonging(promise, found), recorded_at=now, separator=separator)


def belonging(promise: PromiseRecord, found: dict[str, PromiseRecord]) -> tuple[PromiseRecord, ...]:
    """Return those of `found` that an execution asked for itself: its calls, and those of workflows that it runs.

    What it detached is among them if it is among `found`.
    """
    scopes = {promise.id}
    mine: dict[str, PromiseRecord] = {}
    left = [one for one in found.values() if one.id != promise.id]
    while left:
        rest: list[PromiseRecord] = []
        for one in left:
            detached = one.param.headers.get(CALLER) in scopes
            if detached or one.tags.get(Tag.PARENT) in scopes or one.tags.get(Tag.HOME) == promise.id:
                mine[one.id] = one
                if one.tags.get(Tag.SCOPE) == "local":
                    scopes.add(one.id)
            else:
                rest.append(one)
        if len(rest) == len(left):
            break
        left = rest
    return tuple(mine.values())


async def _below(store: Store, execution_id: str) -> tuple[dict[str, PromiseRecord], int]:
    """Return all promises of the same origin, and in how many pages they came."""
    found: dict[str, PromiseRecord] = {}
    cursor: str | None = None
    tags = {Tag.ORIGIN: ids.origin(execution_id, store.dialect.separator)}
    pages, size = 0, PAGE
    while True:
        page, size = await page_of(store, PromiseSearch(tags=tags, limit=size, cursor=cursor))
        if isinstance(page, Rejection):
            raise UsageError(f"The store refused to search for {execution_id}: {page.message}.")
        pages += 1
        found.update((one.id, one) for one in page.promises)
        cursor = page.cursor
        if cursor is None:
            return found, pages
