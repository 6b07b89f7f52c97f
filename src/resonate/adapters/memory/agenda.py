"""What is due when: a heap with one entry per thing that waits for an instant.

Law 1: every operation is O(log n), averaged over its repetitions.
Law 2: what is put off stays where it is in the heap and moves when it comes up, so that a lease extended a thousand
times is one entry; what is left behind is swept before it outnumbers what is wanted.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, TypeAlias

Key: TypeAlias = tuple[int, str]

_SLACK: Final = 64
_IDLE: Final = 2**62


class Agenda:
    """Instants by key. Not thread-safe."""

    def __init__(self) -> None:
        self._wanted: dict[Key, int] = {}
        self._placed: dict[Key, int] = {}  # where a key's valid heap entry is: never later than wanted
        self._heap: list[tuple[int, Key]] = []
        self.sooner = False
        """Whether something was put ahead of all that `next` was asked about."""
        self.least = _IDLE
        """Nothing is due before this; it may be that nothing is due then either."""

    def put(self, key: Key, instant: int) -> None:
        """Set when `key` is due, whatever it was before."""
        self._wanted[key] = instant
        if instant < self.least:
            self.least, self.sooner = instant, True
        placed = self._placed.get(key)
        if placed is None or instant < placed:
            self._placed[key] = instant
            heappush(self._heap, (instant, key))
            if len(self._heap) > _SLACK + 2 * len(self._wanted):
                self._sweep()

    def drop(self, key: Key) -> None:
        """Forget `key`; it may not be there."""
        self._wanted.pop(key, None)

    def next(self) -> int | None:
        """Return the first instant at which something is due, None if nothing ever is."""
        heap, placed = self._heap, self._placed
        self.sooner = False
        while heap:
            instant, key = heap[0]
            if placed.get(key) != instant:
                heappop(heap)
                continue
            wanted = self._wanted.get(key)
            if wanted == instant:
                self.least = instant
                return instant
            if wanted is None:
                heappop(heap)
                del placed[key]
            else:
                placed[key] = wanted
                heapreplace(heap, (wanted, key))
        self.least = _IDLE
        return None

    def pop(self, now: int) -> Key | None:
        """Take what is due first, if it is due by `now`."""
        instant = self.next()
        if instant is None or instant > now:
            return None
        _, key = heappop(self._heap)
        del self._placed[key]
        del self._wanted[key]
        return key

    def _sweep(self) -> None:
        self._placed = dict(self._wanted)
        self._heap = [(instant, key) for key, instant in self._wanted.items()]
        heapify(self._heap)

    def __len__(self) -> int:
        """Return the number of heap entries, left behind or not."""
        return len(self._heap)
