"""A store that asks again when it was not answered, since every request of the protocol may be repeated.

Law 1: only errors that say so (`retriable`) are tried again; refusals by the rules are answers.
Law 2: it goes on while somebody waits for the answer; canceling the caller ends it.
Law 3: delays grow, and each is drawn at random below its bound, so that many callers do not come back at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from attrs import frozen

from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import Rejection, Request
from resonate.errors import StoreError
from resonate.ports.clock import Clock
from resonate.ports.store import Reconnected, Store

R = TypeVar("R")

FIRST_MS = 100
LONGEST_MS = 10_000


@frozen
class Patient:
    """See the module's text. `draw` gives numbers from 0 to 1."""

    inner: Store
    clock: Clock
    draw: Callable[[], float]

    @property
    def dialect(self) -> Dialect:
        """See the port."""
        return self.inner.dialect

    @property
    def unicast(self) -> str:
        """See the port."""
        return self.inner.unicast

    def anycast(self, group: str | None = None) -> str:
        """See the port."""
        return self.inner.anycast(group)

    def prefer(self) -> str:
        """See the port."""
        return self.inner.prefer()

    async def start(self) -> None:
        """See the port."""
        await self.inner.start()

    async def stop(self) -> None:
        """See the port."""
        await self.inner.stop()

    def messages(self) -> AsyncIterator[Message | Reconnected]:
        """See the port."""
        return self.inner.messages()

    async def send(self, request: Request[R]) -> R | Rejection:
        """Do one request, as often as it takes."""
        failures = 0
        while True:
            try:
                return await self.inner.send(request)
            except StoreError as error:
                if not error.retriable:
                    raise
                failures += 1
            await self._pause(failures)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests; those that went unanswered are asked again."""
        replies = await self._ask_all(requests)
        failures = 0
        while open_ := [number for number, reply in enumerate(replies) if _is_worth_asking_again(reply)]:
            failures += 1
            await self._pause(failures)
            answers = await self._ask_all([requests[number] for number in open_])
            answered = dict(zip(open_, answers, strict=True))
            replies = [answered.get(number, reply) for number, reply in enumerate(replies)]
        return replies

    async def _ask_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Ask once; an error that stands for all requests is returned in place of each reply."""
        try:
            return await self.inner.send_all(requests)
        except StoreError as error:
            if not error.retriable:
                raise
            return [error] * len(requests)

    async def _pause(self, failures: int) -> None:
        bound = min(FIRST_MS * 2 ** min(failures - 1, 16), LONGEST_MS)
        await self.clock.sleep_until(self.clock.now() + max(1, round(bound * self.draw())))


def _is_worth_asking_again(reply: object) -> bool:
    return isinstance(reply, StoreError) and reply.retriable
