"""A server in this process that can be told to misbehave."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
from attrs import define, field

from resonate import MemoryServer, Resonate
from resonate.adapters.http import HttpBackend
from resonate.testing import HttpFront, VirtualClock

Answerer = Callable[[httpx.Request], Any]


class Body(httpx.AsyncByteStream):
    """A response's body: chunks, then what becomes of it: its end, an error, or nothing for ever."""

    def __init__(self, *chunks: bytes, then: BaseException | str = "end") -> None:
        self._chunks = chunks
        self._then = then

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if isinstance(self._then, BaseException):
            raise self._then
        if self._then == "hang":
            await asyncio.get_running_loop().create_future()

    async def aclose(self) -> None:
        pass


def stream(*chunks: bytes, then: BaseException | str = "end") -> httpx.Response:
    """Return a stream of messages."""
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(*chunks, then=then))


def answer(request: httpx.Request, status: int, data: Any, **headers: str) -> httpx.Response:
    """Return a reply of the protocol to a request."""
    asked = orjson.loads(request.content)
    head = {"corrId": asked["head"]["corrId"], "status": status, "version": "2026-04-01"}
    return httpx.Response(status, headers=headers, json={"kind": asked["kind"], "head": head, "data": data})


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until something is so."""
    while not condition():  # noqa: ASYNC110 - whoever makes it so does not know that somebody waits
        await asyncio.sleep(0)


async def never(_request: httpx.Request) -> httpx.Response:
    """Answer nothing."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError


@define(eq=False)
class Wild:
    """A memory server behind HTTP whose next answers can be replaced; `None` among them is its own answer.

    `always` replaces every answer, after those of `posts` and `polls`.
    """

    clock: VirtualClock = field(factory=VirtualClock)
    posts: deque[Answerer | None] = field(factory=deque)
    polls: deque[Answerer | None] = field(factory=deque)
    always: Answerer | None = None
    requests: list[httpx.Request] = field(factory=list)
    transports: list[httpx.AsyncBaseTransport] = field(factory=list)
    server: Any = field(init=False)
    front: HttpFront = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = MemoryServer(self.clock)
        self.front = HttpFront(self.server)

    def http_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=_Transport(self))

    def backend(self, url: str = "http://wild", **options: Any) -> HttpBackend:
        return HttpBackend(url, **{"client": self.http_client, "clock": self.clock, **options})

    def client(self, **options: Any) -> Resonate:
        mine = {name: options.pop(name) for name in ("token", "dialect", "timeout", "patience") if name in options}
        return Resonate(self.backend(**mine), **options)

    @property
    def kinds(self) -> list[str]:
        """What was asked for."""
        return [orjson.loads(request.content)["kind"] for request in self.requests if request.method == "POST"]

    @property
    def streams(self) -> int:
        """How many streams were asked for."""
        return sum(request.method == "GET" for request in self.requests)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, wild: Wild) -> None:
        self._wild = wild
        self._inner = wild.front.transport()
        wild.transports.append(self._inner)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self._wild.requests.append(request)
        planned = self._wild.posts if request.method == "POST" else self._wild.polls
        answerer = planned.popleft() if planned else self._wild.always
        found = None if answerer is None else answerer(request)
        found = await found if asyncio.iscoroutine(found) else found
        if found is None:
            return await self._inner.handle_async_request(request)
        if isinstance(found, BaseException):
            raise found
        return found

    async def aclose(self) -> None:
        await self._inner.aclose()
