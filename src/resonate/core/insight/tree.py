"""An execution as the tree of what it asked for.

Law 1: each promise stands once, below the promise that asked for it; siblings in the order of their ids.
Law 2: trees are built and walked without recursion: a chain of calls may be deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from resonate.core import ids
from resonate.core.engine.identity import KIND, SITE
from resonate.core.insight.payloads import callee, failure
from resonate.core.insight.picture import Picture, Retrying, is_execution
from resonate.core.protocol.addresses import parse
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, TaskRecord, TaskState, Value


class Kind(StrEnum):
    """What a promise is to the workflow that asked for it."""

    EXECUTION = "execution"
    """A function that is offered to workers: a root, or a remote call."""
    CALL = "call"
    """A step or a workflow that runs where its caller runs."""
    TIMER = "timer"
    PROMISE = "promise"
    RECORD = "record"
    """A recorded value: the time, the winner of a race."""


class Status(StrEnum):
    """How a promise stands, its task included."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    HALTED = "halted"
    PENDING = "pending"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    CANCELED = "canceled"
    TIMED_OUT = "timed out"


STATUS_OF_TASK: Final = {
    TaskState.PENDING: Status.QUEUED,
    TaskState.ACQUIRED: Status.RUNNING,
    TaskState.SUSPENDED: Status.WAITING,
    TaskState.HALTED: Status.HALTED,
    TaskState.FULFILLED: Status.PENDING,
}
STATUS_OF_PROMISE: Final = {
    PromiseState.PENDING: Status.PENDING,
    PromiseState.RESOLVED: Status.RESOLVED,
    PromiseState.REJECTED: Status.REJECTED,
    PromiseState.REJECTED_CANCELED: Status.CANCELED,
    PromiseState.REJECTED_TIMEDOUT: Status.TIMED_OUT,
}


@frozen(kw_only=True)
class Node:
    """A promise in a tree, and what it asked for. All instants are epoch ms.

    Args:
        id: its id.
        kind: what it is.
        state: its promise's state.
        status: how it stands, its task included.
        function: the name of the function that it calls, None if it calls none.
        version: the version of that function, None for the latest.
        group: the worker group, or the address, that it is for.
        site: the line of code that asked for it.
        created_at: when it was asked for.
        settled_at: when it was settled.
        timeout_at: its deadline.
        attempts: how often workers have taken it; None for what is not offered to workers, or not known.
        pid: the process that holds it now.
        expires_at: when that lease lapses, where the store tells.
        error: what it was rejected with, in one line.
        retrying: of a step that has failed and is tried again, what is known in the process that runs it; None
            elsewhere, for it is not stored.
        param: what it was made with.
        value: what it was settled with.
        tags: its tags.
        own: whether it is the engine's own: no workflow asked for it.
        children: what it asked for.
    """

    id: str
    kind: Kind
    state: PromiseState
    status: Status
    function: str | None = None
    version: int | None = None
    group: str | None = None
    site: str | None = None
    created_at: int
    settled_at: int | None = None
    timeout_at: int
    attempts: int | None = None
    pid: str | None = None
    expires_at: int | None = None
    error: str | None = None
    retrying: Retrying | None = None
    param: Value = field(repr=False)
    value: Value = field(repr=False)
    tags: dict[str, str] = field(repr=False)
    own: bool = False
    children: tuple[Node, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """What it is, in a word: its function as `name@2`, or `timer`, `promise`."""
        if self.function is None:
            return self.kind.value
        return self.function if self.version in {None, 1} else f"{self.function}@{self.version}"

    def duration_ms(self, now: int) -> int:
        """Return how long it took, or has taken by `now`."""
        end = now if self.settled_at is None else self.settled_at
        return max(end - self.created_at, 0)

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Yield this node and all below, each with its depth: parents first, siblings in order."""
        ahead: list[tuple[int, Node]] = [(0, self)]
        while ahead:
            depth, node = ahead.pop()
            yield depth, node
            ahead.extend((depth + 1, child) for child in reversed(node.children))


@frozen(kw_only=True)
class Tree:
    """An execution, or a part of one, at one instant.

    Args:
        now: the instant, in epoch ms.
        root: what was asked about.
        whole: whether all its promises are here; a server without searches can't be asked for all.
    """

    now: int
    root: Node
    whole: bool = True

    def nodes(self) -> Iterator[tuple[int, Node]]:
        """Yield all nodes, each with its depth."""
        return self.root.walk()


def tree_of(picture: Picture, id: str) -> Tree:
    """Return the tree below a promise of the picture. Raise `KeyError` if it is not there."""
    below = children_by_id(picture)
    order: list[str] = []
    ahead = [id]
    while ahead:
        order.append(ahead[-1])
        ahead.extend(below.get(ahead.pop(), ()))
    made: dict[str, Node] = {}
    for each in reversed(order):  # children before their parents
        made[each] = _node(picture, picture.records[each], tuple(made.pop(child) for child in below.get(each, ())))
    return Tree(now=picture.now, root=made[id], whole=picture.whole)


def children_by_id(picture: Picture) -> dict[str, list[str]]:
    """Return the ids below each id, in order. No promise is its own ancestor, whatever the tags say."""
    parents = {id: picture.parent(id) for id in sorted(picture.records, key=ids.natural_key)}
    below: dict[str, list[str]] = {}
    for id, parent in parents.items():
        if parent is not None:
            below.setdefault(parent, []).append(id)
    reached: set[str] = set()
    _reach([id for id, parent in parents.items() if parent is None], below, reached)
    for id, parent in parents.items():  # what is not below a root goes round: there it is cut
        if id not in reached and parent is not None:
            below[parent].remove(id)
            _reach([id], below, reached)
    return below


def _reach(ahead: list[str], below: dict[str, list[str]], reached: set[str]) -> None:
    while ahead:
        id = ahead.pop()
        reached.add(id)
        ahead.extend(below.get(id, ()))


def group_of(target: str) -> str:
    """Return the group that an address leads to, or the address itself where it names none."""
    address = parse(target)
    return target if address is None else address.group


def kind_of(record: PromiseRecord) -> Kind:
    """Return what a promise is."""
    if is_execution(record):
        return Kind.EXECUTION
    if record.param.headers.get(KIND) == "record":
        return Kind.RECORD
    if record.tags.get(Tag.TIMER) == "true":
        return Kind.TIMER
    return Kind.PROMISE if record.tags.get(Tag.SCOPE) != "local" else Kind.CALL


def status_of(record: PromiseRecord, task: TaskRecord | None) -> Status:
    """Return how a promise stands."""
    if record.state is PromiseState.PENDING and task is not None:
        return STATUS_OF_TASK[task.state]
    return STATUS_OF_PROMISE[record.state]


def _node(picture: Picture, record: PromiseRecord, children: tuple[Node, ...]) -> Node:
    task = picture.tasks.get(record.id) if is_execution(record) else None
    kind = kind_of(record)
    function, version = callee(record.param) if kind in {Kind.EXECUTION, Kind.CALL} else (None, None)
    failed = record.state is PromiseState.REJECTED
    target = record.tags.get(Tag.TARGET)
    return Node(
        id=record.id,
        kind=kind,
        state=record.state,
        status=status_of(record, task),
        function=function,
        version=version,
        group=None if target is None else group_of(target),
        site=record.param.headers.get(SITE),
        created_at=record.created_at,
        settled_at=record.settled_at,
        timeout_at=record.timeout_at,
        attempts=None if task is None else task.version,
        pid=None if task is None else task.pid,
        expires_at=None if picture.facts is None else picture.facts.expires.get(record.id),
        error=failure(record.value) if failed else None,
        retrying=None if picture.here is None else picture.here.retrying.get(record.id),
        param=record.param,
        value=record.value,
        tags=dict(record.tags),
        own=picture.is_own(record),
        children=children,
    )
