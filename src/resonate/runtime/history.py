"""What earlier attempts at an execution left behind, as far as a replay has to have it before it starts.

Law 1: a first attempt has no history, and asks for none.
Law 2: the record of deliveries is whole before a replay starts: it decides what the workflow hears of first.
Law 3: it takes as many requests as there are pages, not as there are promises. A page is smaller where one would be
    longer than a reply may be.
"""

from __future__ import annotations

from attrs import frozen

from resonate.core import ids
from resonate.core.protocol.records import PromiseRecord, Tag
from resonate.core.protocol.requests import ClaimReply, PromiseGet, PromiseReply, PromiseSearch, Rejection
from resonate.errors import StoreError
from resonate.ports.store import Store
from resonate.runtime.paging import page_of

PAGE = 1_000
FIRST, MOST = 4, 256


@frozen
class History:
    """Promises of earlier attempts; `whole` if these are all that there are.

    `first` has one that was asked for before others, where they are not: it says which code asked.
    """

    records: tuple[PromiseRecord, ...]
    whole: bool = True
    first: tuple[PromiseRecord, ...] = ()


async def history_of(store: Store, claim: ClaimReply) -> History:
    """Return what has to be known before the execution of `claim` is replayed. Raise `StoreError`."""
    if store.dialect.whole_preload or claim.task.version <= 1:
        return History(claim.preload)
    if store.dialect.searches:
        return History(await _all(store, claim.promise.id))
    return await _beginning(store, claim.promise.id)


async def _all(store: Store, execution_id: str) -> tuple[PromiseRecord, ...]:
    """Page through all promises of an execution, by the tag that says so."""
    found: list[PromiseRecord] = []
    cursor: str | None = None
    size = PAGE
    while True:
        page, size = await page_of(store, PromiseSearch(tags={Tag.HOME: execution_id}, limit=size, cursor=cursor))
        if isinstance(page, Rejection):
            raise StoreError(
                f"The store refused to search for the history of {execution_id}: {page.message}.",
                hint="If it serves no searches, say so in the dialect: searches=False.",
                execution=execution_id,
            )
        found.extend(page.promises)
        cursor = page.cursor
        if cursor is None:
            return tuple(found)


async def _beginning(store: Store, execution_id: str) -> History:
    """Get the promises that carry the record of deliveries: they are counted, without a gap. And what was asked first.

    That is the first call of the workflow's own task, or of the first task that it has started.
    """
    separator = store.dialect.separator
    parent = ids.child(execution_id, 0, separator)
    first = ids.child(execution_id, 1, separator)
    begun: list[PromiseRecord] = []
    found: list[PromiseRecord] = []
    asked = [first, ids.child(first, 1, separator)]
    size = FIRST
    while True:
        numbers = range(len(found) + 1, len(found) + size + 1)
        others = len(asked)
        asked += [ids.child(parent, number, separator) for number in numbers]
        for place, reply in enumerate(await store.send_all([PromiseGet(promise_id) for promise_id in asked])):
            match reply:
                case PromiseReply(promise=promise):
                    (begun if place < others else found).append(promise)
                case StoreError():
                    raise reply
                case _ if place >= others:
                    return History(tuple(found), whole=False, first=tuple(begun))
                case _:
                    pass
        asked, size = [], min(2 * size, MOST)
