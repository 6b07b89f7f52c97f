"""What is asked of the store ahead of a replay whose history is not all here.

Law 1: a guess: siblings that follow what the workflow asks for. What is not guessed is found when asked for, since
    creating a promise that exists answers with it; what is guessed in vain costs a request, once for each branch.
Law 2: the further a branch has been followed, the further ahead is looked, so that n recorded promises take
    O(log n) round trips, and no more than n requests beside those in vain.
"""

from __future__ import annotations

from resonate.core import ids

FIRST = 8
MOST = 256


class Recall:
    """See the module's text. Mutable; owned by one execution. Does nothing where the history is `whole`."""

    __slots__ = ("_asked", "_looked", "_separator", "_whole", "over")

    def __init__(self, separator: str, *, whole: bool) -> None:
        self._whole = whole
        self.over = whole
        """Whether nothing is looked for any more."""
        self._separator = separator
        self._asked: dict[str, int] = {}  # by branch: the last that was asked for in this turn
        self._looked: dict[str, tuple[int, int]] = {}  # by branch: up to where was looked, how far to look next

    def may_find(self, promise_id: str) -> bool:
        """Say whether a promise that is not known here may be stored all the same."""
        if self._whole:
            return False
        stem, number = ids.counted(promise_id, self._separator)
        return not (number and number <= self._looked.get(stem, (0, 0))[0])

    def asked(self, promise_id: str) -> None:
        """Take note that the workflow asks for a promise that is not known here."""
        if self.over:
            return
        stem, number = ids.counted(promise_id, self._separator)
        if number and self.may_find(promise_id):
            self._asked[stem] = max(number, self._asked.get(stem, 0))

    def ahead(self) -> list[str]:
        """Return what to look for now, beside what was asked for in this turn."""
        found: list[str] = []
        if not self._asked:
            return found
        asked, self._asked = self._asked, {}
        for stem, last in asked.items():
            size = self._looked.get(stem, (0, FIRST))[1]
            self._looked[stem] = (last + size, min(2 * size, MOST))
            found.extend(f"{stem}{number}" for number in range(last + 1, last + size + 1))
        return found

    def looked_for(self, promise_id: str) -> bool:
        """Say whether this was looked for ahead."""
        stem, number = ids.counted(promise_id, self._separator)
        return 0 < number <= self._looked.get(stem, (0, 0))[0]

    def end(self) -> None:
        """Look no further: what is stored has been heard of."""
        self.over = True
        self._asked.clear()
