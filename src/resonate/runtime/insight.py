"""Asks a store for all that an operator's question needs, and leaves the answer to `core/insight`.

Law 1: nothing is written, and no task is touched.
Law 2: an execution takes as many requests as it has pages of promises; where there are no searches, it is asked for by
    the ids that it may have, up to a bound, and the picture says that it may not be whole.
Law 3: executions that it called under ids of their own are asked for, too; those that it detached are not part of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, evolve, field

from resonate.core import ids
from resonate.core.insight.causes import Why
from resonate.core.insight.diagnosis import why_of
from resonate.core.insight.picture import Here, Picture, is_execution, is_pending, looked_into
from resonate.core.insight.tree import Tree, tree_of
from resonate.core.protocol.records import PromiseRecord, Tag
from resonate.core.protocol.requests import PromiseGet, PromiseReply, PromiseSearch, Rejection
from resonate.errors import NotFound, StoreError
from resonate.ports.store import Knows, Store
from resonate.runtime import asking
from resonate.runtime.paging import page_of

PAGE: Final = 1_000
MOST_PROBES: Final = 4_000
"""So many ids are tried, at most, where there are no searches."""
MOST_ORIGINS: Final = 100
"""So many executions with roots of their own are followed, at most."""
WINDOW: Final = 8
LIKE: Final = 5


async def tree(store: Store, id: str, *, now: int, knows: object = None, here: Here | None = None) -> Tree:
    """Return the tree below a promise. Raise `NotFound`, `StoreError`.

    Args:
        store: what is asked.
        id: the promise.
        now: the instant, in epoch ms.
        knows: the store as it can be looked into, if it is `Knows`.
        here: what this process's worker knows.
    """
    return (await tree_and_why(store, id, now=now, knows=knows, here=here))[0]


async def tree_and_why(
    store: Store, id: str, *, now: int, knows: object = None, here: Here | None = None
) -> tuple[Tree, Why]:
    """Return both of one instant; see `tree`. Raise `NotFound`, `StoreError`."""
    found = await picture(store, id, now=now, knows=knows, here=here)
    if id not in found.records:
        near = await like(store, id)
        hint = f"Ids like it: {', '.join(near)}." if near else None
        raise NotFound(f"There is no promise {id}.", hint=hint, step=id)
    return tree_of(found, id), why_of(found, id)


async def why(store: Store, id: str, *, now: int, knows: object = None, here: Here | None = None) -> Why:
    """Return why a promise is not settled; see `tree`."""
    found = await picture(store, id, now=now, knows=knows, here=here)
    near = () if id in found.records else await like(store, id)
    return why_of(found, id, near)


async def picture(store: Store, id: str, *, now: int, knows: object = None, here: Here | None = None) -> Picture:
    """Return all that can be known about a promise and the executions that it is part of. Raise `StoreError`."""
    gathered = _Gathered(store)
    await gathered.execution(id)
    records = gathered.records
    tasks = await asking.tasks(store, [one.id for one in records.values() if is_pending(one) and is_execution(one)])
    made = Picture(
        now=now,
        records=records,
        tasks=tasks,
        here=here,
        whole=gathered.whole,
        separator=store.dialect.separator,
    )
    facts = await knows.facts(looked_into(made)) if isinstance(knows, Knows) else None
    return evolve(made, facts=facts)


async def like(store: Store, id: str) -> tuple[str, ...]:
    """Return ids that exist and are like one that does not: what it would lie below, else those spelt like it."""
    separator = store.dialect.separator
    above = ids.parent(id, separator)
    while above is not None:
        if isinstance(await store.send(PromiseGet(above)), PromiseReply):
            return (above,)
        above = ids.parent(above, separator)
    if not store.dialect.searches:
        return ()
    # Our own servers' cursor is the last id of a page: a search can begin where ids with the same beginning lie.
    cursor = id[: max(1, len(id) // 2)] if store.dialect.whole_preload else None
    found: dict[str, None] = {}
    for start in dict.fromkeys((cursor, None)):
        page, _ = await page_of(store, PromiseSearch(limit=PAGE, cursor=start))
        if not isinstance(page, Rejection):
            found.update((ids.origin(one.id, separator), None) for one in page.promises)
    return tuple(difflib.get_close_matches(id, found, n=LIKE, cutoff=0.5))


@define
class _Gathered:
    """Promises being gathered."""

    store: Store
    records: dict[str, PromiseRecord] = field(factory=dict[str, PromiseRecord])
    whole: bool = True
    _probes: int = 0

    async def execution(self, id: str) -> None:
        """Gather the execution that a promise is part of, and those that it calls under ids of their own."""
        first = await self.store.send(PromiseGet(id))
        if isinstance(first, Rejection):
            return
        self.records[id] = first.promise
        separator = self.store.dialect.separator
        ahead = [first.promise.tags.get(Tag.ORIGIN) or ids.origin(id, separator)]
        done: set[str] = set()
        while ahead:
            origin = ahead.pop()
            if origin in done:
                continue
            if len(done) == MOST_ORIGINS:
                self.whole = False
                return
            done.add(origin)
            for record in await self._origin(origin):
                self.records[record.id] = record
                own = ids.origin(record.id, separator)
                if own != origin and is_execution(record):
                    ahead.append(own)

    async def _origin(self, origin: str) -> Iterable[PromiseRecord]:
        if not self.store.dialect.searches:
            return await self._probed(origin)
        found: list[PromiseRecord] = []
        cursor: str | None = None
        size = PAGE
        while True:
            search = PromiseSearch(tags={Tag.ORIGIN: origin}, limit=size, cursor=cursor)
            page, size = await page_of(self.store, search)
            if isinstance(page, Rejection):
                raise StoreError(f"The store refused to search for the promises of {origin}: {page.message}.")
            found.extend(page.promises)
            cursor = page.cursor
            if cursor is None:
                return found

    # ------------------------------------------------------------ without searches

    async def _probed(self, origin: str) -> Iterable[PromiseRecord]:
        """Try the ids that an execution may have: they are counted, with gaps where a task's branch has none."""
        self.whole = False
        found: dict[str, PromiseRecord] = {}
        await self._try([origin], found)
        stems = [origin]
        for stem in stems:  # it grows meanwhile: what is nearest to the root is found first
            stems += await self._branch(stem, found)
        return found.values()

    async def _branch(self, stem: str, found: dict[str, PromiseRecord]) -> list[str]:
        """Try one branch, up to a window in which there is nothing; return the branches below it."""
        below: list[str] = []
        start = 1
        while self._probes < MOST_PROBES:
            window = [self._child(stem, number) for number in range(start, start + WINDOW)]
            first = [self._child(one, 1) for one in window]
            second = [self._child(one, 1) for one in first]
            await self._try([*window, *first, *second], found)
            more = [one for one, a, b in zip(window, first, second, strict=True) if a in found or b in found]
            if not more and not any(one in found for one in window):
                break
            below += more
            start += WINDOW
        return below

    async def _try(self, asked: Sequence[str], found: dict[str, PromiseRecord]) -> None:
        new = [one for one in asked if one not in found]
        self._probes += len(new)
        found.update(await asking.promises(self.store, new))

    def _child(self, stem: str, number: int) -> str:
        return ids.child(stem, number, self.store.dialect.separator)
