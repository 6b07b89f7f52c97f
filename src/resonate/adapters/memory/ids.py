"""Ids in order, for those who search."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from heapq import merge
from typing import Final

_FEW: Final = 1_024


class SortedIds:
    """A growing set of ids: adding one is O(1), sorting is left to who asks. Not thread-safe.

    Ids that came since the last search are sorted by themselves and merged on the way, so that paging through many
    while others are created does not sort the many for each page.
    """

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._fresh: list[str] = []
        self._tidy = True

    def add(self, id: str) -> None:
        """Add an id that is not there yet."""
        self._fresh.append(id)
        self._tidy = False

    def after(self, cursor: str | None) -> Iterator[str]:
        """Yield the ids greater than `cursor`, all when None. Valid until the next `add`."""
        if not self._tidy:
            self._fresh.sort()
            self._tidy = True
            if len(self._fresh) > max(_FEW, len(self._sorted) // 8):
                self._sorted += self._fresh
                self._sorted.sort()
                self._fresh = []
        return merge(_after(self._sorted, cursor), _after(self._fresh, cursor))


def _after(ids: list[str], cursor: str | None) -> Iterator[str]:
    start = 0 if cursor is None else bisect_right(ids, cursor)
    return (ids[index] for index in range(start, len(ids)))
