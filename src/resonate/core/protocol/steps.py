"""What a server does unasked: the six internal steps.

Law 1: each step re-checks that it is due, so firing it late, early or again is harmless.
Law 2: after a due step has fired at `now`, it is not due any more at `now` (a schedule that is far behind
catches up over several firings).
Law 3: right after a transaction settles a promise, the store fires one drain for each of its callbacks and
listeners, each as a transaction of its own. The other steps become due by the clock; `due` tells when.
"""

from __future__ import annotations

from typing import TypeAlias

from resonate.core.frozen import frozen


@frozen
class PromiseTimeout:
    """The deadline of an external promise has passed: settle it."""

    id: str


@frozen
class CallbackDrain:
    """The promise `awaited` has settled: consume the callback, resume the task `awaiter`."""

    awaited: str
    awaiter: str


@frozen
class ListenerDrain:
    """The promise has settled: consume the listener, send it `Unblock`."""

    promise: str
    address: str


@frozen
class LeaseTimeout:
    """The lease of an acquired task has expired: offer the task again."""

    id: str


@frozen
class RetryDispatch:
    """A pending task is to be offered (again): send `Execute` to its target."""

    id: str


@frozen
class ScheduleFire:
    """A schedule has occurrences behind it: create their promises."""

    id: str


InternalStep: TypeAlias = PromiseTimeout | CallbackDrain | ListenerDrain | LeaseTimeout | RetryDispatch | ScheduleFire
