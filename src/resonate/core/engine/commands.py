"""What the engine asks its driver for, and what it is told.

Law 1: both are closed unions of frozen values; the engine never calls anyone.
Law 2: a command names what to do, the driver decides nothing: an arm of its match is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from attrs import field

from resonate.core.engine.tries import NO_FAILURES, Failures
from resonate.core.frozen import frozen
from resonate.core.protocol.records import PromiseRecord
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle
from resonate.core.registry import Function
from resonate.core.retry import RetryPolicy
from resonate.core.values import Call
from resonate.errors import ResonateError

# ---------------------------------------------------------------- commands


@frozen
class Write:
    """Do this write under the task's fence; answer with `PromiseKnown` or `WriteRefused`."""

    action: PromiseCreate | PromiseSettle


@frozen
class RunStep:
    """Run this step until it returns, or fails for good; answer with `StepReturned` or `StepFailed`.

    `deadline` is epoch ms: the step is interrupted there, and no retry is scheduled past it. `reread` reads the call as
    it was recorded, for another try: the one before may have changed its arguments; None where nobody can.
    """

    id: str
    function: Function
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    retry: RetryPolicy
    deadline: int
    reread: Callable[[], Call] | None = field(default=None, eq=False)


@frozen
class CancelStep:
    """Interrupt this step; whatever it answers is ignored."""

    id: str


@frozen
class Look:
    """Ask how the store has these promises now; answer with `PromiseKnown` for each that there is.

    It is asked for together with the writes of the same turn, and answered with them, in one step.
    """

    ids: tuple[str, ...]


@frozen
class Watch:
    """Tell (`PromiseKnown`) when this promise settles, while the task stays acquired."""

    id: str


@frozen
class Unwatch:
    """Nobody waits for this promise any more."""

    id: str


@frozen
class Wake:
    """Step again at this instant (epoch ms) if nothing else comes first. A later `Wake` replaces it."""

    at: int


@frozen
class Suspend:
    """Nothing is left to do until one of these promises settles.

    Answer with a new attempt, or with `PromiseKnown` for each promise of a redirect.
    """

    awaiting: tuple[str, ...]


@frozen
class Fulfill:
    """The execution is over, with this outcome for its own promise."""

    action: PromiseSettle


@frozen
class Stop:
    """Stop driving; nothing is lost, and another attempt (of other code) may go on."""

    error: ResonateError


Command: TypeAlias = Write | RunStep | CancelStep | Look | Watch | Unwatch | Wake | Suspend | Fulfill | Stop

# ---------------------------------------------------------------- events


@frozen
class PromiseKnown:
    """This is how the store has this promise."""

    promise: PromiseRecord


@frozen
class WriteRefused:
    """The store refused to write this promise, by the rules; the error goes to whoever awaits it."""

    id: str
    error: ResonateError


@frozen
class StepReturned:
    """A step returned this value, after `failures`."""

    id: str
    value: object
    failures: Failures = NO_FAILURES


@frozen
class StepFailed:
    """A step failed, with no attempt left; `failures` came before."""

    id: str
    error: BaseException
    failures: Failures = NO_FAILURES


Event: TypeAlias = PromiseKnown | WriteRefused | StepReturned | StepFailed
