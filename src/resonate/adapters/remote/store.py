"""Makes a store of a network.

Law 1: a reply is taken for a request's own only if it names its kind and its number.
Law 2: refusals by the rules are values; 401, 403, 5xx and what is no answer are errors, each of its type.
Law 3: a request is sent once, and once more with another token if its token was refused. Asking again after an error
    is for who waits (`runtime/patience`).
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from typing import Any, Final, TypeVar, cast

from resonate.adapters.remote.credentials import Credentials
from resonate.adapters.remote.probe import Edit, as_it_is, ask_dialect
from resonate.core.backoff import full_jitter_ms
from resonate.core.ids import origin
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import (
    Done,
    PromiseSearch,
    Rejection,
    Request,
    ScheduleSearch,
    TaskHeartbeat,
    TaskRef,
    TaskSearch,
)
from resonate.core.protocol.wire import OthersReply, decode_message, decode_reply, encode_request
from resonate.errors import AuthError, ServerError, StoreError, UsageError
from resonate.ports.clock import Clock
from resonate.ports.network import Answer, Network
from resonate.ports.store import Dropped, Notice

R = TypeVar("R")

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
TIMED_OUT: Final = 408
TOO_LARGE: Final = 413
TOO_MANY: Final = 429
FAILED: Final = 500
NOT_IMPLEMENTED: Final = 501

_LONGEST_REASON: Final = 200
_UNKNOWN: Final = Dialect()


class RemoteStore:
    """A store at a remote server. Implements `resonate.ports.store.Store`.

    Args:
        network: the way there.
        credentials: what the server is shown.
        clock: see the port.
        dialect: how the server speaks; None to ask it.
        patience_ms: how long `start` goes on trying to reach the server.
        at_once: how many of the requests that come together are under way at a time.
        draw: gives numbers from 0 to 1.
    """

    def __init__(
        self,
        network: Network,
        credentials: Credentials,
        *,
        clock: Clock,
        dialect: Dialect | None = None,
        patience_ms: int = 10_000,
        at_once: int = 100,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._network = network
        self._credentials = credentials
        self._clock = clock
        self._dialect = dialect
        self._patience_ms = patience_ms
        self._at_once = at_once
        self._draw = draw
        self._prefix = secrets.token_hex(4)
        self._numbers = count(1)
        self._open = False
        self._started = False

    @property
    def dialect(self) -> Dialect:
        """How the server speaks; final once `start` has returned."""
        return self._dialect or _UNKNOWN

    @property
    def unicast(self) -> str:
        """The address that reaches exactly this connection."""
        return self._network.unicast

    def anycast(self, group: str | None = None) -> str:
        """Return the address of any member of `group`, this connection's own when None."""
        return self._network.anycast(group)

    def prefer(self) -> str:
        """Return the address of any member of this group, this connection while it is connected."""
        return self._network.prefer()

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Connect, and ask the server how it speaks unless that was said. Raise `StoreError` if it can't be reached."""
        if self._open:
            return
        self._credentials.reset()
        until = self._clock.now() + self._patience_ms
        failures = 0
        while True:
            try:
                await self._network.start()
                self._dialect = self._dialect or await ask_dialect(self._ask)
                break
            except StoreError as error:
                failures += 1
                now = self._clock.now()
                if not error.retriable or now >= until:
                    await self._network.stop()
                    raise
                delay = full_jitter_ms(failures, self._draw(), error.retry_after_ms)
            await self._clock.sleep_until(min(now + delay, until))
        self._open = self._started = True

    async def leave(self) -> None:
        """Let no more messages come, see `resonate.ports.store.Leaves`."""
        await self._network.leave()

    async def stop(self) -> None:
        """Disconnect."""
        self._open = False
        await self._network.stop()

    def _check_open(self) -> None:
        if self._open:
            return
        if not self._started:
            raise UsageError("The store has not been started.", hint="Await its start() first.")
        raise StoreError("The store has been stopped.", hint="Start it again, or connect another.")

    # ------------------------------------------------------------ asking

    async def send(self, request: Request[R]) -> R | Rejection:
        """Do one request. Raise `UsageError` before `start`, `StoreError` after `stop` and where the port says so."""
        self._check_open()
        if isinstance(request, TaskHeartbeat):
            return cast("R | Rejection", await self._renew(request))
        return self._allowed(request, await self._ask(request, as_it_is))

    async def _renew(self, request: TaskHeartbeat) -> Done | Rejection:
        """Renew leases with one request for each origin: servers refuse several."""
        separator = self.dialect.separator
        if len({origin(task.id, separator) for task in request.tasks}) <= 1:
            return await self._beat(request)
        groups: defaultdict[str, list[TaskRef]] = defaultdict(list)
        for task in request.tasks:
            groups[origin(task.id, separator)].append(task)
        replies = [await self._beat(TaskHeartbeat(pid=request.pid, tasks=tuple(group))) for group in groups.values()]
        return next((reply for reply in replies if isinstance(reply, Rejection)), Done())

    async def _beat(self, request: TaskHeartbeat) -> Done | Rejection:
        return self._allowed(request, await self._ask(request, as_it_is))

    def _allowed(self, request: Request[R], reply: R | Rejection) -> R | Rejection:
        if isinstance(reply, Rejection) and reply.status == FORBIDDEN and not _is_search(request):
            raise AuthError(
                f"The server {self._network.name} does not let this token do {request.kind}.",
                hint="Give it a token that may, or keep to the ids that it is for.",
            )
        return reply

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests concurrently. Raise as the port says."""
        self._check_open()
        if len(requests) == 1 and not isinstance(requests[0], TaskHeartbeat):  # as in most turns
            reply = await self._ask(requests[0], as_it_is)
            return [self._allowed(requests[0], reply) if isinstance(reply, Rejection) else reply]
        replies: list[Any] = [None] * len(requests)
        left = enumerate(requests)

        async def ask() -> None:
            for number, request in left:
                try:
                    replies[number] = await self.send(request)
                except Exception as error:  # noqa: BLE001 - it stands for the reply, or is raised below
                    replies[number] = error

        await asyncio.gather(*(ask() for _ in range(min(self._at_once, len(requests)))))
        unanswered = [reply for reply in replies if isinstance(reply, BaseException)]
        foreign = [error for error in unanswered if not isinstance(error, StoreError)]
        for error in foreign or (unanswered if len(unanswered) == len(replies) else []):
            raise error
        return replies

    async def _ask(self, request: Request[R], edit: Edit) -> R | Rejection:
        token = await self._credentials.current()
        reply = await self._ask_with(token, request, edit)
        if isinstance(reply, Rejection) and reply.status == UNAUTHORIZED:
            token = await self._credentials.renew(token)
            reply = await self._ask_with(token, request, edit)
            if isinstance(reply, Rejection) and reply.status == UNAUTHORIZED:
                raise self._credentials.refuse()
        return reply

    async def _ask_with(self, token: str | None, request: Request[R], edit: Edit) -> R | Rejection:
        corr_id = f"{self._prefix}-{next(self._numbers)}"
        envelope = encode_request(request, corr_id, token)
        if edit is not as_it_is:
            envelope = edit(envelope)
        answer = await self._network.exchange(envelope, token)
        reply = self._read(request, corr_id, answer)
        if isinstance(reply, Rejection) and _is_failure(reply.status):
            raise self._failed(request, f"failed with {reply.status}: {reply.message}", answer)
        return reply

    def _read(self, request: Request[R], corr_id: str, answer: Answer) -> R | Rejection:
        try:
            return decode_reply(request, corr_id, answer.body)
        except OthersReply:
            raise
        except ServerError:
            match answer.status:  # no server of the protocol said this, but one before it may have
                case 401 | 403:
                    return Rejection(answer.status, "refused before the server was reached")
                case 413:
                    return Rejection(TOO_LARGE, "the request is larger than the server takes")
                case status if status >= 300 and status != 300:
                    raise self._failed(request, f"answered with HTTP {status}", answer) from None
                case _:
                    raise

    def _failed(self, request: Request[Any], what: str, answer: Answer) -> ServerError:
        error = ServerError(
            f"The server {self._network.name}, asked for {request.kind}, {what[:_LONGEST_REASON]}.",
            hint="Look at the server's log, and that the address is that of a Resonate server.",
        )
        error.retry_after_ms = answer.retry_after_ms
        return error

    # ------------------------------------------------------------ messages

    def messages(self) -> AsyncIterator[Message | Notice]:
        """Return the messages to this connection, until `stop`. Raise `UsageError` before `start`."""
        if not self._started:
            self._check_open()
        return self._messages()

    async def _messages(self) -> AsyncIterator[Message | Notice]:
        async for item in self._network.messages():
            if not isinstance(item, bytes):
                yield item
                continue
            message = decode_message(item)
            yield Dropped(message.message[:_LONGEST_REASON]) if isinstance(message, Rejection) else message


def _is_failure(status: int) -> bool:
    return (status >= FAILED and status != NOT_IMPLEMENTED) or status in {TIMED_OUT, TOO_MANY}


def _is_search(request: Request[Any]) -> bool:
    return isinstance(request, PromiseSearch | TaskSearch | ScheduleSearch)
