"""A server that speaks as servers in the field do, made of one that follows our rules.

Law 1: it refuses what they refuse, and tells no more than they tell: what a client may not rely on is not there.
Law 2: every difference can be switched, so that a test can say which one it is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field, frozen

from resonate.adapters.memory import MemoryServer
from resonate.core import ids
from resonate.core.protocol.addresses import parse
from resonate.core.protocol.dialect import FIELD, Dialect
from resonate.core.protocol.records import NO_VALUE, Execute, Message, PromiseRecord, PromiseState, Tag, Unblock
from resonate.core.protocol.requests import (
    ClaimReply,
    FenceReply,
    PromiseCreate,
    PromiseGet,
    PromisePage,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    Request,
    ScheduleCreate,
    ScheduleSearch,
    SuspendReply,
    TaskAcquire,
    TaskCreate,
    TaskFence,
    TaskHeartbeat,
    TaskSearch,
    TaskSuspend,
)
from resonate.core.protocol.snapshot import Snapshot
from resonate.ports.clock import Clock
from resonate.ports.store import Notice, Store
from resonate.runtime.relay import Relay

OLDER: Final = evolve(FIELD, separator=".")
"""The same, with the older grammar of ids."""
NO_SEARCHES: Final = evolve(FIELD, searches=False)
"""The same, of a server that serves no searches."""

_Mail: TypeAlias = "asyncio.Queue[Message | Notice | None]"

_FAR: Final = 2**53 - 2
"""The deadline, inside, of what the clock does not look at."""


@define
class FieldServer:
    """A Backend around a memory server.

    Args:
        inner: keeps everything. For targeted timers it has to accept them: `Settings(targeted_timers=True)`. It never
            offers their tasks; here each is offered once, when it is made.
        dialect: how to speak; what it denies is not done.
        preload_limit: how many promises a preload has at most; None for all of the branch.
        repeats_branch: whether the reply to each fence has the preload, too.
    """

    inner: MemoryServer
    dialect: Dialect = FIELD
    preload_limit: int | None = 10
    repeats_branch: bool = True
    _deadlines: dict[str, int] = field(factory=dict[str, int], init=False)
    _expired: set[str] = field(factory=set[str], init=False)
    _branches: dict[str, dict[str, None]] = field(factory=dict[str, dict[str, None]], init=False)
    _members: dict[str, list[_Mail]] = field(factory=dict[str, "list[_Mail]"], init=False)
    _branch_of: dict[str, str] = field(factory=dict[str, str], init=False)

    @property
    def clock(self) -> Clock:
        """The inner server's clock."""
        return self.inner.clock

    def connect(self, *, group: str, pid: str) -> Store:
        """See the port."""
        return _FieldStore(self.inner.connect(group=group, pid=pid), self, group)

    def snapshot(self) -> Snapshot:
        """Return all that is stored, as a client would see it."""
        inner = self.inner.snapshot()
        return evolve(inner, promises=tuple(evolve(one, record=self.shown(one.record)) for one in inner.promises))

    # ------------------------------------------------------------ for stores

    async def answer(self, store: Store, request: Request[Any]) -> Any:
        """Do one request."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        for promise_id in _named(request):
            await self._touch(store, promise_id)
        match request:
            case PromiseCreate():
                return self._created(request, await store.send(self._hidden(request)))
            case TaskCreate(action=action):
                claim = await store.send(evolve(request, action=self._hidden(action)))
                return await self._claimed(store, self._created(action, claim))
            case TaskAcquire():
                return await self._claimed(store, await store.send(evolve(request, delta=False)))
            case TaskFence(action=action):
                hidden = self._hidden(action) if isinstance(action, PromiseCreate) else action
                reply = await store.send(evolve(request, action=hidden))
                if isinstance(reply, FenceReply) and isinstance(action, PromiseCreate):
                    self._created(action, reply.action)
                return await self._fenced(store, request.id, reply)
            case TaskSuspend():
                return await self._suspended(store, request)
            case _:
                return self._told(await store.send(request))

    def message(self, message: Message | Notice) -> Message | Notice:
        """Return a message as it is sent out."""
        return Unblock(self.shown(message.promise)) if isinstance(message, Unblock) else message

    def post(self, group: str, message: Message) -> None:
        """Send a message to the next member of a group in turn, whether or not the inner server would."""
        members = self._members.get(group, [])
        if members:
            members.append(members.pop(0))
            members[-1].put_nowait(message)

    def shown(self, record: PromiseRecord) -> PromiseRecord:
        """Return a record as it is told."""
        deadline = self._deadlines.get(record.id)
        if deadline is not None:
            record = evolve(record, timeout_at=deadline)
            if record.id in self._expired:
                timer = record.tags.get(Tag.TIMER) == "true"
                state = PromiseState.RESOLVED if timer else PromiseState.REJECTED_TIMEDOUT
                record = evolve(record, state=state, settled_at=deadline, value=NO_VALUE)
        return record

    @contextmanager
    def listening(self, group: str, mail: _Mail) -> Generator[None, None, None]:
        """Count `mail` as that of a member of the group."""
        self._members.setdefault(group, []).append(mail)
        try:
            yield
        finally:
            self._members[group] = [other for other in self._members[group] if other is not mail]

    # ------------------------------------------------------------ refusals

    def _refusal(self, request: Request[Any]) -> Rejection | None:
        separator = self.dialect.separator
        wrong: str | None = None
        match request:
            case PromiseSearch() | TaskSearch() | ScheduleSearch() if not self.dialect.searches:
                return Rejection(501, "not implemented")
            case PromiseCreate():
                wrong = _tags_wrong(request, separator)
            case TaskCreate(action=action) | TaskFence(action=PromiseCreate() as action):
                wrong = _tags_wrong(action, separator)
            case PromiseRegisterCallback(awaited=awaited, awaiter=awaiter):
                wrong = _origins_wrong([awaited, awaiter], separator)
            case TaskSuspend(id=id, actions=actions):
                wrong = _origins_wrong([id, *(action.awaited for action in actions)], separator)
            case TaskHeartbeat(tasks=tasks):
                wrong = _origins_wrong([task.id for task in tasks], separator)
            case ScheduleCreate(id=id) if separator in id:
                wrong = f"a schedule's id must not contain {separator!r}"
            case _:
                pass
        return None if wrong is None else Rejection(400, wrong)

    # ------------------------------------------------------------ deadlines and timers

    def _hidden(self, request: PromiseCreate) -> PromiseCreate:
        """Return a creation as it is done inside: what the clock is not to look at gets a deadline that is far."""
        if Tag.TARGET in request.tags:
            return request
        if self.dialect.enforces_deadlines or request.timeout_at <= self.clock.now():
            return request
        self._deadlines.setdefault(request.id, request.timeout_at)
        return evolve(request, timeout_at=_FAR)

    async def _touch(self, store: Store, promise_id: str) -> None:
        deadline = self._deadlines.get(promise_id)
        if deadline is None or promise_id in self._expired or self.clock.now() < deadline:
            return
        known = await store.send(PromiseGet(promise_id))
        if isinstance(known, PromiseReply) and known.promise.state is PromiseState.PENDING:
            self._expired.add(promise_id)
            await store.send(PromiseSettle(id=promise_id, state=PromiseState.REJECTED_CANCELED))

    # ------------------------------------------------------------ replies

    def _created(self, request: PromiseCreate, reply: Any) -> Any:
        if not isinstance(reply, Rejection) and request.id not in self._branch_of:
            branch = request.tags.get(Tag.BRANCH, "")
            self._branch_of[request.id] = branch
            self._branches.setdefault(branch, {})[request.id] = None
            if request.tags.get(Tag.TIMER) == "true" and (to := parse(request.tags.get(Tag.TARGET, ""))) is not None:
                self.post(to.group, Execute(request.id, 0))
        return self._told(reply)

    async def _claimed(self, store: Store, reply: Any) -> Any:
        if not isinstance(reply, ClaimReply):
            return reply
        record = self.shown(reply.promise)
        return evolve(reply, promise=record, preload=await self._preload(store, record.id))

    async def _fenced(self, store: Store, task_id: str, reply: Any) -> Any:
        if not isinstance(reply, FenceReply):
            return reply
        preload = await self._preload(store, task_id) if self.repeats_branch else ()
        return FenceReply(self._told(reply.action), preload)

    async def _suspended(self, store: Store, request: TaskSuspend) -> Any:
        reply = await store.send(request)
        if isinstance(reply, SuspendReply) and reply.redirect and not self.dialect.keeps_resumes:
            awaited = [await store.send(PromiseGet(action.awaited)) for action in request.actions]
            if all(isinstance(one, PromiseReply) and one.promise.state is PromiseState.PENDING for one in awaited):
                reply = await store.send(request)  # it had resumes: they are forgotten, and nothing is said of them
        if isinstance(reply, SuspendReply) and reply.redirect:
            return SuspendReply(redirect=True, preload=await self._preload(store, request.id))
        return reply

    async def _preload(self, store: Store, task_id: str) -> tuple[PromiseRecord, ...]:
        branch = self._branch_of.get(task_id, task_id)
        found = sorted(self._branches.get(branch, ())) if branch else []
        replies = [await store.send(PromiseGet(each)) for each in found[: self.preload_limit] if each != task_id]
        return tuple(self.shown(reply.promise) for reply in replies if isinstance(reply, PromiseReply))

    def _told(self, reply: Any) -> Any:
        match reply:
            case PromiseReply(promise=promise):
                return PromiseReply(self.shown(promise))
            case PromisePage(promises=promises):
                return evolve(reply, promises=tuple(self.shown(promise) for promise in promises))
            case _:
                return reply


@frozen
class _FieldStore(Relay):
    _server: FieldServer
    _group: str

    @property
    def dialect(self) -> Dialect:
        return self._server.dialect

    async def send(self, request: Request[Any]) -> Any:
        return await self._server.answer(self.inner, request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        return [await self.send(request) for request in requests]

    async def messages(self) -> AsyncIterator[Message | Notice]:
        mail: _Mail = asyncio.Queue()
        forwarding = asyncio.get_running_loop().create_task(self._forward(mail))
        with self._server.listening(self._group, mail):
            try:
                while (message := await mail.get()) is not None:
                    yield message
            finally:
                forwarding.cancel()

    async def _forward(self, mail: _Mail) -> None:
        async for message in self.inner.messages():
            mail.put_nowait(self._server.message(message))
        mail.put_nowait(None)


def _named(request: Request[Any]) -> Iterable[str]:
    """Return the promises that a request names: their deadlines are looked at when it is done."""
    match request:
        case PromiseGet(id=id) | PromiseCreate(id=id) | PromiseSettle(id=id):
            return (id,)
        case TaskFence(action=action):
            return (action.id,)
        case PromiseRegisterCallback(awaited=awaited) | PromiseRegisterListener(awaited=awaited):
            return (awaited,)
        case TaskSuspend(actions=actions):
            return [action.awaited for action in actions]
        case _:
            return ()


def _origins_wrong(names: Sequence[str], separator: str) -> str | None:
    one_origin = len({ids.origin(name, separator) for name in names}) <= 1
    return None if one_origin else "all must belong to the same origin"


def _tags_wrong(request: PromiseCreate, separator: str) -> str | None:
    for tag in (Tag.ORIGIN, Tag.PREFIX):
        if separator in request.tags.get(tag, ""):
            return f"{tag} must not contain {separator!r}"
    for tag in (Tag.ORIGIN, Tag.BRANCH, Tag.PARENT):
        above = request.tags.get(tag, request.id)
        if request.id != above and not ids.is_below(request.id, above, separator):
            return f"the promise's id must be prefixed by its {tag}"
    return None
