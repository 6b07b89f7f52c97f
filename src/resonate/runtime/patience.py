"""A store that asks again when it was not answered, since every request of the protocol may be repeated.

Law 1: only errors that say so (`retriable`) are tried again; refusals by the rules are answers.
Law 2: it goes on while somebody waits for the answer; canceling the caller ends it, and a stop wakes it.
Law 3: delays grow, and each is drawn at random below its bound, so that many callers do not come back at once; a
    server that asks for a longer delay gets it.
Law 4: that requests go unanswered is said once for all of them, and once that answers come again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeGuard, TypeVar

from attrs import define, field, frozen

from resonate.core.backoff import full_jitter_ms
from resonate.core.protocol.requests import Rejection, Request
from resonate.errors import StoreError
from resonate.logs import Log
from resonate.ports.clock import Clock
from resonate.runtime.pauses import Pauses
from resonate.runtime.relay import Relay

R = TypeVar("R")

log = Log("resonate.store")

LOUD: Final = 3
"""A request that fails so often in a row is not a matter of chance: it is said that answers are missing."""

HURRIED: Final = 4
"""The failure after which pauses no longer grow where there is little time left: they are below a second."""


@define
class _State:
    """What changes in a `Patient`.

    Args:
        unanswered: so many requests under way have failed `LOUD` times or more.
        said: it was said that answers are missing, and not yet that they come again.
        hurries: see `Patient.hurry`.
    """

    unanswered: int = 0
    said: bool = False
    hurries: bool = False

    def failed(self, error: StoreError) -> None:
        """Count a request that has failed `LOUD` times."""
        self.unanswered += 1
        if not self.said:
            self.said = True
            log.warning("The store does not answer; what was asked for is asked again until it does: %s", error)

    def ended(self) -> None:
        """Count off such a request: it was answered, or given up."""
        self.unanswered -= 1

    def answered(self) -> None:
        """Take note that a request was answered; one that goes unanswered while others do not is trouble still."""
        if not self.unanswered:
            self.said = False
            log.warning("The store answers again; work goes on.")


@frozen
class Patient(Relay):
    """See the module's text. `draw` gives numbers from 0 to 1."""

    clock: Clock
    draw: Callable[[], float]
    _pauses: Pauses = field(factory=Pauses, init=False, eq=False)
    _state: _State = field(factory=_State, init=False, eq=False)

    async def start(self) -> None:
        """See the port."""
        await self.inner.start()
        self._state.hurries = False
        self._pauses.allow()

    async def stop(self) -> None:
        """See the port. Who waits to ask again hears of it at once."""
        self._pauses.forbid()  # also for those who hear of it only later that they went unanswered
        await self.inner.stop()
        self._pauses.end()

    def hurry(self) -> None:
        """Let pauses no longer grow beyond a second, as there is little time left: the store is to be stopped soon."""
        self._state.hurries = True

    async def send(self, request: Request[R]) -> R | Rejection:
        """Do one request, as often as it takes."""
        try:
            reply = await self.inner.send(request)
        except StoreError as error:
            if not error.retriable:
                raise
            reply = await self._send_again(request, error.retry_after_ms)
        if self._state.said:
            self._state.answered()
        return reply

    async def _send_again(self, request: Request[R], wish: int | None) -> R | Rejection:
        failures = 1
        try:
            while True:
                await self._pause(failures, wish)
                try:
                    return await self.inner.send(request)
                except StoreError as error:
                    if not error.retriable:
                        raise
                    failures += 1
                    if failures == LOUD:
                        self._state.failed(error)
                    wish = error.retry_after_ms
        finally:
            if failures >= LOUD:
                self._state.ended()

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests; those that went unanswered are asked again."""
        try:
            replies = await self.inner.send_all(requests)
        except StoreError as error:
            replies = _instead(error, requests)
        for reply in replies:
            if isinstance(reply, StoreError) and reply.retriable:
                return await self._ask_again(requests, replies)
        if self._state.said:
            self._state.answered()
        return replies

    async def _ask_again(self, requests: Sequence[Request[Any]], replies: Sequence[Any]) -> Sequence[Any]:
        failures = 0
        try:
            while open_ := {number: reply for number, reply in enumerate(replies) if _is_worth_asking_again(reply)}:
                failures += 1
                if failures == LOUD:
                    self._state.failed(next(iter(open_.values())))
                await self._pause(failures, max((error.retry_after_ms or 0 for error in open_.values()), default=0))
                asked = [requests[number] for number in open_]
                try:
                    answers = await self.inner.send_all(asked)
                except StoreError as error:
                    answers = _instead(error, asked)
                answered = dict(zip(open_, answers, strict=True))
                replies = [answered.get(number, reply) for number, reply in enumerate(replies)]
        finally:
            if failures >= LOUD:
                self._state.ended()
        if self._state.said:
            self._state.answered()
        return replies

    async def _pause(self, failures: int, wish_ms: int | None) -> None:
        counted = min(failures, HURRIED) if self._state.hurries else failures
        await self._pauses.pause(self.clock, full_jitter_ms(counted, self.draw(), wish_ms))


def _instead(error: StoreError, requests: Sequence[Request[Any]]) -> Sequence[StoreError]:
    """Return an error that stands for all requests in place of each reply; raise one that is final."""
    if not error.retriable:
        raise error
    return [error] * len(requests)


def _is_worth_asking_again(reply: object) -> TypeGuard[StoreError]:
    return isinstance(reply, StoreError) and reply.retriable
