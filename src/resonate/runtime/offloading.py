"""A store that keeps large values elsewhere: they are moved on the way to the store, and back on the way from it.

Law 1: the event loop never waits for blobs: they are written and read in threads.
Law 2: a request is sent once all that it refers to is kept.
Law 3: a reply is answered once all that it refers to was fetched; where that fails but may pass, it is tried again,
    since a request that was done is not to be done again for it.
Law 4: a value that can't be brought in stays a reference, and the codec says why when the value is read: what nobody
    reads stops nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from resonate.core.protocol.records import Message, PromiseRecord, ScheduleRecord, Unblock, Value
from resonate.core.protocol.requests import (
    ClaimReply,
    FenceReply,
    PromiseCreate,
    PromisePage,
    PromiseReply,
    PromiseSettle,
    Rejection,
    Request,
    ScheduleCreate,
    SchedulePage,
    ScheduleReply,
    SuspendReply,
    TaskCreate,
    TaskFence,
    TaskFulfill,
)
from resonate.errors import CodecError, StoreError
from resonate.ports.clock import Clock
from resonate.ports.store import Notice
from resonate.runtime.pauses import Pauses
from resonate.runtime.relay import Relay

R = TypeVar("R")
T = TypeVar("T")
Change: TypeAlias = Callable[[Value], Value]

log = logging.getLogger("resonate")

_FIRST_DELAY_MS: Final = 100
_LONGEST_DELAY_MS: Final = 10_000
_LOUD: Final = 3
"""After so many failures to fetch, there is a warning."""
_ENCODING: Final = frozenset({"content-encoding", "content-type"})


class Moves(Protocol):
    """What knows which values are large, and where they are kept. Its methods may be called from any thread."""

    def is_large(self, value: Value) -> bool:
        """Say whether a value is to be moved out."""
        ...

    def is_moved(self, value: Value) -> bool:
        """Say whether a value is a reference."""
        ...

    def move_out(self, value: Value) -> Value:
        """Keep the value; return the reference. Raise `StoreError`."""
        ...

    def bring_in(self, value: Value) -> Value:
        """Return the value of a reference. Raise `StoreError` or `CodecError`."""
        ...


@frozen
class Offloading(Relay):
    """See the module's text. `clock` is told of what threads do, so that a virtual one waits for it."""

    moves: Moves
    clock: Clock
    _pauses: Pauses = field(factory=Pauses, init=False, eq=False)

    async def start(self) -> None:
        """See the port."""
        await self.inner.start()
        self._pauses.allow()

    async def stop(self) -> None:
        """See the port. Who waits for a large value to come in hears of it at once."""
        self._pauses.forbid()
        await self.inner.stop()
        self._pauses.end()

    async def send(self, request: Request[R]) -> R | Rejection:
        """See the port. Raise what keeping a blob raises, too."""
        kept = _Kept()
        reply: Any = await self.inner.send(await self._moved_out(request, kept))
        answer: R | Rejection = await self._brought_in(reply, kept)
        return answer

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """See the port. A request whose large value can't be kept is answered with the error, and not sent."""
        kept = _Kept()
        replies: list[Any] = [await self._tried(request, kept) for request in requests]
        sent = [number for number, request in enumerate(replies) if not isinstance(request, StoreError)]
        answers = await self.inner.send_all([replies[number] for number in sent]) if sent else ()
        for number, answer in zip(sent, answers, strict=True):
            replies[number] = await self._brought_in(answer, kept)
        return replies

    async def messages(self) -> AsyncIterator[Message | Notice]:
        """See the port."""
        arrived: asyncio.Queue[Message | Notice | None] = asyncio.Queue()
        fetching: set[asyncio.Task[None]] = set()

        async def fetch(message: Unblock) -> None:
            with suppress(StoreError):  # the store is stopped: nobody reads what arrives any more
                arrived.put_nowait(await self._brought_in(message, _Kept()))

        async def listen() -> None:
            try:
                async for message in self.inner.messages():
                    if isinstance(message, Unblock) and any(map(self.moves.is_moved, _values_from(message))):
                        task = asyncio.get_running_loop().create_task(fetch(message))  # others do not wait for it
                        fetching.add(task)
                        task.add_done_callback(fetching.discard)
                    else:
                        arrived.put_nowait(message)
            finally:
                arrived.put_nowait(None)

        listening = asyncio.get_running_loop().create_task(listen())
        try:
            while (message := await arrived.get()) is not None:
                yield message
            await listening
        finally:
            for task in (listening, *fetching):
                task.cancel()

    async def _moved_out(self, request: Request[R], kept: _Kept) -> Request[R]:
        if not any(map(self.moves.is_large, _values_to(request))):
            return request

        def move(value: Value) -> Value:
            return kept.add(self.moves.move_out(value), value) if self.moves.is_large(value) else value

        return await self._in_thread(lambda: _request_with(request, move))

    async def _brought_in(self, reply: Any, kept: _Kept) -> Any:
        if not any(map(self.moves.is_moved, _values_from(reply))):
            return reply
        failures = 0
        while True:
            try:
                return await self._in_thread(lambda: _reply_with(reply, lambda value: self._bring_in(value, kept)))
            except StoreError as error:
                failures += 1
                delay = min(_FIRST_DELAY_MS * 2**failures, _LONGEST_DELAY_MS)
                if failures == _LOUD:
                    log.warning("Large values can't be fetched; this goes on trying: %s", error)
            await self._pauses.pause(self.clock, delay)

    def _bring_in(self, value: Value, kept: _Kept) -> Value:
        if not self.moves.is_moved(value):
            return value
        known = kept.find(value)
        if known is not None:
            return known
        try:
            return self.moves.bring_in(value)
        except StoreError as error:
            if error.retriable:
                raise
            return value
        except CodecError:
            return value

    async def _in_thread(self, work: Callable[[], T]) -> T:
        with self.clock.busy():
            return await asyncio.to_thread(work)

    async def _tried(self, request: Request[Any], kept: _Kept) -> Request[Any] | StoreError:
        try:
            return await self._moved_out(request, kept)
        except StoreError as error:
            return error


class _Kept:
    """What one exchange has moved out: the reply repeats it, and it need not be fetched for that."""

    def __init__(self) -> None:
        self._values: dict[str | None, Value] = {}

    def add(self, reference: Value, value: Value) -> Value:
        self._values[reference.data] = value
        return reference

    def find(self, reference: Value) -> Value | None:
        known = self._values.get(reference.data)
        if known is None:
            return None
        more = {name: text for name, text in reference.headers.items() if name not in _ENCODING}
        return Value({**known.headers, **more}, known.data)


# ---------------------------------------------------------------- where values are


def _values_to(request: Request[Any]) -> Iterable[Value]:
    match request:
        case TaskCreate() | TaskFence() | TaskFulfill():
            return _values_to(request.action)
        case PromiseCreate():
            return (request.param,)
        case PromiseSettle():
            return (request.value,)
        case ScheduleCreate():
            return (request.promise_param,)
        case _:
            return ()


def _request_with(request: Any, change: Change) -> Any:
    match request:
        case TaskCreate() | TaskFence() | TaskFulfill():
            return evolve(request, action=_request_with(request.action, change))
        case PromiseCreate():
            return evolve(request, param=change(request.param))
        case PromiseSettle():
            return evolve(request, value=change(request.value))
        case ScheduleCreate():
            return evolve(request, promise_param=change(request.promise_param))
        case _:
            return request


def _values_from(reply: Any) -> Iterable[Value]:
    match reply:
        case PromiseRecord():
            return (reply.param, reply.value)
        case ScheduleRecord():
            return (reply.promise_param,)
        case PromiseReply() | Unblock():
            return _values_from(reply.promise)
        case ScheduleReply():
            return _values_from(reply.schedule)
        case ClaimReply():
            return _all_from((reply.promise, *reply.preload))
        case FenceReply():
            return _all_from((reply.action, *reply.preload))
        case SuspendReply():
            return _all_from(reply.preload)
        case PromisePage():
            return _all_from(reply.promises)
        case SchedulePage():
            return _all_from(reply.schedules)
        case _:
            return ()


def _all_from(parts: Iterable[Any]) -> Iterable[Value]:
    return (value for part in parts for value in _values_from(part))


def _reply_with(reply: Any, change: Change) -> Any:
    match reply:
        case PromiseRecord():
            return evolve(reply, param=change(reply.param), value=change(reply.value))
        case ScheduleRecord():
            return evolve(reply, promise_param=change(reply.promise_param))
        case PromiseReply() | Unblock():
            return evolve(reply, promise=_reply_with(reply.promise, change))
        case ScheduleReply():
            return evolve(reply, schedule=_reply_with(reply.schedule, change))
        case ClaimReply():
            return evolve(reply, promise=_reply_with(reply.promise, change), preload=_all_with(reply.preload, change))
        case FenceReply():
            return evolve(reply, action=_reply_with(reply.action, change), preload=_all_with(reply.preload, change))
        case SuspendReply():
            return evolve(reply, preload=_all_with(reply.preload, change))
        case PromisePage():
            return evolve(reply, promises=_all_with(reply.promises, change))
        case SchedulePage():
            return evolve(reply, schedules=_all_with(reply.schedules, change))
        case _:
            return reply


def _all_with(parts: Iterable[Any], change: Change) -> tuple[Any, ...]:
    return tuple(_reply_with(part, change) for part in parts)
