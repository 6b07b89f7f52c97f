"""Pages of a search that are as large as may be read.

Law 1: a page that is longer than a reply may be is asked for again with fewer records, down to one.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from resonate.core.protocol.requests import PromisePage, PromiseSearch, Rejection
from resonate.errors import ReplyTooLong
from resonate.ports.store import Store

_SMALLER: Final = 4


async def page_of(store: Store, search: PromiseSearch) -> tuple[PromisePage | Rejection, int]:
    """Return a page of at most `search.limit` records, and of how many the next had better be. Raise `StoreError`.

    It raises `ReplyTooLong` if one record alone is too long.
    """
    while True:
        try:
            return await store.send(search), search.limit
        except ReplyTooLong:
            if search.limit <= 1:
                raise
            search = evolve(search, limit=max(1, search.limit // _SMALLER))
