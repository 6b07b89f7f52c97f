"""A child: one durable promise that a workflow asked for and has not been told the result of.

Law 1: a child moves along `TRANSITIONS` and no other way.
Law 2: its future is completed by a delivery, or canceled by the workflow; never both.
Law 3: an abandoned child is no longer heard of; what is still owed to the store for it (its cancellation) is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final, Generic, Protocol, TypeVar

from resonate.core.engine.identity import Identity
from resonate.core.engine.loop import Future, PlacedFuture, TimerHandle
from resonate.core.protocol.records import NO_VALUE, PromiseRecord
from resonate.core.registry import Function
from resonate.core.retry import RetryPolicy
from resonate.core.values import Call, Signature
from resonate.errors import EngineBug, UsageError

T = TypeVar("T")


class _Quick(Enum):
    """An enum for hot look-ups: members are singletons, so identity serves as hash, and Enum's is a Python call."""

    __hash__ = object.__hash__


class Role(_Quick):
    """What a child is to its workflow."""

    STEP = auto()
    WORKFLOW = auto()
    REMOTE = auto()
    TIMER = auto()
    PROMISE = auto()
    RECORD = auto()
    DETACHED = auto()


# By names of their own where each step looks: on Python 3.11 a member is found in its class as slowly as by a call.
STEP: Final = Role.STEP
TIMER: Final = Role.TIMER
RECORD: Final = Role.RECORD
DETACHED: Final = Role.DETACHED

LOCAL: Final = frozenset({Role.STEP, Role.WORKFLOW})
"""Run here, in this attempt."""
EXTERNAL: Final = frozenset({Role.REMOTE, Role.TIMER, Role.PROMISE})
"""Settled by others: a task can be suspended on these."""
OWED: Final = frozenset({Role.STEP, Role.WORKFLOW, Role.REMOTE, Role.DETACHED})
"""A workflow does not settle before these have (a detached one: before it is started)."""
OWNED: Final = frozenset({Role.STEP, Role.WORKFLOW, Role.TIMER})
"""Abandoning one of these settles its promise as canceled: nobody else has a use for it."""
KNOWN_BY_CREATION: Final = frozenset({Role.RECORD, Role.DETACHED})
"""All there is to know of these is that they exist."""


class Phase(_Quick):
    """Where a child stands."""

    ASKED = auto()
    OPEN = auto()
    SETTLING = auto()
    SETTLED = auto()
    DELIVERED = auto()
    ABANDONED = auto()


class Change(_Quick):
    """What moves a child."""

    CREATED = auto()
    FINISHED = auto()
    SETTLES = auto()
    DELIVERS = auto()
    ABANDONS = auto()


ASKED: Final = Phase.ASKED
OPEN: Final = Phase.OPEN
SETTLING: Final = Phase.SETTLING
SETTLED: Final = Phase.SETTLED

CREATED: Final = Change.CREATED
FINISHED: Final = Change.FINISHED
SETTLES: Final = Change.SETTLES
DELIVERS: Final = Change.DELIVERS
ABANDONS: Final = Change.ABANDONS

TRANSITIONS: Final[Mapping[tuple[Phase, Change], Phase]] = {
    (Phase.ASKED, Change.CREATED): Phase.OPEN,
    (Phase.ASKED, Change.SETTLES): Phase.SETTLED,
    (Phase.ASKED, Change.ABANDONS): Phase.ABANDONED,
    (Phase.OPEN, Change.FINISHED): Phase.SETTLING,
    (Phase.OPEN, Change.SETTLES): Phase.SETTLED,
    (Phase.OPEN, Change.ABANDONS): Phase.ABANDONED,
    (Phase.SETTLING, Change.SETTLES): Phase.SETTLED,
    (Phase.SETTLING, Change.ABANDONS): Phase.ABANDONED,
    (Phase.SETTLED, Change.DELIVERS): Phase.DELIVERED,
    (Phase.SETTLED, Change.ABANDONS): Phase.ABANDONED,
}


class Listener(Protocol):
    """What a child's future tells its execution."""

    def awaited(self, child: Child) -> None:
        """Somebody began to wait for the child."""
        ...

    def abandoned(self, child: Child) -> None:
        """The workflow canceled the child's future."""
        ...


class Durable(PlacedFuture[T], Generic[T]):
    """The result of a durable call, inside a workflow: await it, cancel it, or hand its `id` out.

    It belongs to the durable loop of its workflow; awaiting it anywhere else is refused.
    """

    __slots__ = ("_child", "_listener")

    _child: Child
    _listener: Listener

    def bind(self, child: Child, listener: Listener) -> None:
        """Say what it is the result of. Called once, where it is made."""
        self._child = child
        self._listener = listener
        self.place = child.id

    @property
    def id(self) -> str:
        """The id of the durable promise behind it."""
        return self._child.id

    def __bool__(self) -> bool:
        """Refuse: it is a handle and not yet a result, so that a forgotten await never counts as a yes."""
        raise UsageError(
            f"The handle of {self._child.id} was used as a truth value.",
            hint="Await it for its result: `if await ctx.run(...)`; what `await ctx.promise()` gives is awaited again.",
        )

    def __format__(self, spec: str) -> str:
        """Refuse: it is a handle and not yet a result, so that a forgotten await is no text. `!r` shows it."""
        raise UsageError(
            f"The handle of {self._child.id} was put into a text.",
            hint="Await it for its result: `{await ctx.run(...)}`; or show the handle, by `!r`.",
        )

    def cancel(self, msg: Any = None) -> bool:
        """Stop waiting; return False if the result is already here.

        A step or workflow that runs here is canceled with it and its promise settled `rejected_canceled`; a
        remote one is left alone.
        """
        if self.done():
            return False
        self._listener.abandoned(self._child)
        return super().cancel(msg)

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Any = None) -> None:
        """Call `fn` with this future once it is done."""
        if not self.done():
            self._listener.awaited(self._child)
        super().add_done_callback(fn, context=context)


class Child:
    """See the module's text. Mutable; owned by one execution."""

    __slots__ = (
        "__weakref__",
        "acknowledged",
        "awaited",
        "by_name",
        "call",
        "convert",
        "function",
        "future",
        "handle",
        "id",
        "identity",
        "param",
        "phase",
        "record",
        "recording",
        "result",
        "retry",
        "returns",
        "role",
        "running",
        "scope",
        "signature",
        "suffix",
        "watched",
        "written",
    )

    def __init__(  # noqa: PLR0917 - see PromiseRecord
        self,
        id: str,
        role: Role,
        scope: Any,
        suffix: str,
        identity: Identity,
        function: Function | None = None,
        retry: RetryPolicy | None = None,
        returns: Any = Any,
    ) -> None:
        self.id = id
        self.role = role
        self.scope = scope
        self.suffix = suffix
        self.identity = identity
        self.function = function
        self.retry = retry
        self.returns = returns
        self.by_name = False  # of the latest version, whichever that is
        self.phase: Phase = ASKED
        self.record: PromiseRecord | None = None
        self.param = NO_VALUE  # as it is asked for, until the store has it
        self.signature: Signature | None = None
        self.call: Call | None = None  # what `param` says, if it need not be read back
        self.result: tuple[str | None, object] | None = None  # what was written of an outcome that need not be, and it
        self.future: Durable[Any] | None = None
        self.acknowledged: Future[Any] | None = None
        self.handle: TimerHandle | None = None
        self.convert: Callable[[PromiseRecord], object] | None = None
        self.running: Any = None
        self.recording = False  # abandoned while what came of it is being recorded: its end is yet to be reported
        self.watched = 0  # the task version under which somebody tells when it settles
        self.awaited = 0
        self.written: str | None = None

    def move(self, change: Change) -> None:
        """Take one transition. Raise `EngineBug` for one that the table does not have."""
        try:
            self.phase = TRANSITIONS[self.phase, change]
        except KeyError:
            msg = f"A child that is {self.phase.name} cannot take {change.name} ({self.id})."
            raise EngineBug(msg) from None

    @property
    def awaitable(self) -> Durable[Any]:
        """The future that the workflow is given."""
        assert self.future is not None
        return self.future

    @property
    def gone(self) -> bool:
        """Whether the workflow will not hear of it (any more)."""
        return self.phase is Phase.ABANDONED or self.phase is Phase.DELIVERED
