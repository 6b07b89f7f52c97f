"""What an execution waits for that others settle: remote calls, timers, promises settled from outside.

Law 1: a suspension names what no earlier one has (where the store remembers those), and never nothing while there is
    something to wait for.
Law 2: while steps run, the task can't be suspended: then what is open is watched, timers by the clock.
Law 3: nothing here costs more as history grows; a suspension costs what is new since the last, where the store
    remembers, and what is open where it does not.
"""

from __future__ import annotations

from resonate.core.engine.children import Child, Role

FEW = 8
"""Up to so many promises are watched at once beside steps that run."""
PATIENCE_MS = 1_000
"""How long steps run before more than `FEW` promises are watched beside them: each costs a request."""


class Outside:
    """See the module's text. Mutable; owned by one execution."""

    __slots__ = ("_open", "_patience", "_told", "_unregistered", "_unwatched", "_watching")

    def __init__(self) -> None:
        self._open: dict[str, Child] = {}
        self._unregistered: dict[str, Child] = {}  # of those: no suspension has named it yet
        self._unwatched: dict[str, Child] = {}  # of those: nobody tells while the task stays acquired
        self._told = 0  # of those: somebody else settles them, no clock
        self._watching = 0  # the task version under which they are watched
        self._patience: tuple[int, int] = (0, 0)  # a task version, and until when many are not watched under it

    def __bool__(self) -> bool:
        """Whether there is anything to wait for."""
        return bool(self._open)

    def opened(self, child: Child) -> None:
        """Wait for a child from now on."""
        self._open[child.id] = self._unregistered[child.id] = child
        if child.role is not Role.TIMER:
            self._told += 1
            self._unwatched[child.id] = child

    def closed(self, child: Child) -> None:
        """Wait for a child no more. Harmless if it was not waited for."""
        if self._open.pop(child.id, None) is not None:
            self._told -= child.role is not Role.TIMER
            self._unregistered.pop(child.id, None)
            self._unwatched.pop(child.id, None)

    def suspended(self) -> None:
        """Take note that a suspension was accepted: the store knows of all that is open."""
        self._unregistered.clear()

    def to_name(self, *, remembered: bool) -> tuple[str, ...]:
        """Return what a suspension has to name; `remembered` if the store remembers what earlier ones named."""
        if not self._open:
            return ()
        if not remembered:
            return tuple(self._open)
        if self._unregistered:
            return tuple(self._unregistered)
        child_id, child = self._open.popitem()  # any one: the first is slow to find where many are gone
        self._open[child_id] = child
        return (child_id,)

    @property
    def is_wide(self) -> bool:
        """Whether so much is open that asking for each is dear."""
        return self._told > FEW

    def to_look_at(self, horizon: int) -> list[str]:
        """Return what may have settled unheard of: timers only if they are due by `horizon`, by our clock."""
        return [
            child.id
            for child in self._open.values()
            if child.role is not Role.TIMER or (child.record is not None and child.record.timeout_at <= horizon)
        ]

    def first_deadline(self) -> Child | None:
        """Return the promise of those settled from outside whose deadline is the first."""
        promises = [child for child in self._open.values() if child.role is Role.PROMISE and child.record is not None]
        return min(promises, key=_deadline, default=None)

    def to_watch(self, version: int, now: int, *, at_once: bool = False) -> tuple[list[Child], int | None]:
        """Return what to watch now under this task version, and when to ask again (None: not at all)."""
        if at_once:
            self._patience = (version, now)
        if self._watching != version and self._open:
            if self._patience[0] != version:
                self._patience = (version, now + PATIENCE_MS)
            if len(self._open) > FEW and now < self._patience[1]:
                return [], self._patience[1]
            self._watching = version
            self._unwatched = {id: child for id, child in self._open.items() if child.role is not Role.TIMER}
        if self._watching != version:
            return [], None
        unwatched, self._unwatched = self._unwatched, {}
        return list(unwatched.values()), None


def _deadline(child: Child) -> int:
    return 0 if child.record is None else child.record.timeout_at
