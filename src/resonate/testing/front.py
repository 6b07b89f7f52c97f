"""Any backend as a Resonate server over HTTP, for tests: in the process, or behind an ASGI server on a port.

Law 1: it answers as the protocol says; what it adds is only what a test asks for (tokens, a limit).
Law 2: each lifespan has a store of its own for the requests, and each stream of messages one for its member.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import httpx
import orjson
from attrs import define, field

from resonate.core.protocol.requests import Rejection
from resonate.core.protocol.wire import Incoming, decode_request, encode_message, encode_reply
from resonate.errors import AuthError, StoreError
from resonate.ports.store import Backend, Dropped, Reconnected, Store

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_STORE: Final = "resonate.store"
_STREAMS: Final = "resonate.streams"


def accept_all(_token: str | None) -> int:
    """Let everybody in."""
    return 200


@define(eq=False)
class HttpFront:
    """An ASGI application that serves a backend: `POST /`, `GET /poll/{group}/{pid}`, `GET /health`.

    Give it to an ASGI server (with lifespan), or use `transport` to stay within the process:

        front = HttpFront(MemoryServer())
        backend = HttpBackend("http://front", client=front.client)

    Args:
        backend: what is served.
        judge: says what becomes of a token: 200, 401 or 403.
        request_bytes: the longest request, as servers in the field have it.
    """

    backend: Backend
    judge: Callable[[str | None], int] = accept_all
    request_bytes: int = 2 * 2**20
    posts: int = field(default=0, init=False)
    """How many requests have come."""
    polls: int = field(default=0, init=False)
    """How many streams were asked for."""

    def transport(self) -> FrontTransport:
        """Return a transport for `httpx.AsyncClient` that leads here."""
        return FrontTransport(self)

    def client(self) -> httpx.AsyncClient:
        """Return a client all of whose requests come here, whatever their host."""
        return httpx.AsyncClient(transport=self.transport())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(scope["state"], receive, send)
            return
        match (scope["method"], scope["path"].split("/")):
            case ("POST", ["", ""]):
                await self._post(scope["state"][_STORE], receive, send)
            case ("GET", ["", "poll", group, pid]):
                await self._poll(scope, unquote(group), unquote(pid), receive, send)
            case ("GET", ["", "health" | "ready"]):
                await _respond(send, 200, b"")
            case _:
                await _respond(send, 404, b"not found", "text/plain")

    # ------------------------------------------------------------ life

    async def _live(self, state: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        store = self.backend.connect(group=f"front-{secrets.token_hex(4)}", pid="front")
        await store.start()
        state[_STORE], state[_STREAMS] = store, list[Store]()
        try:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:  # an event loop that ends cancels what it is not told to end
            for stream in [*state[_STREAMS]]:
                await stream.stop()
            await store.stop()
        await send({"type": "lifespan.shutdown.complete"})

    # ------------------------------------------------------------ requests

    async def _post(self, store: Store, receive: Receive, send: Send) -> None:
        self.posts += 1
        body = b""
        more = True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        if len(body) > self.request_bytes:
            await _respond(send, 413, b"length limit exceeded", "text/plain")
            return
        incoming = decode_request(body if store.dialect.delta_preload else _without_delta(body))
        reply = await self._reply(store, incoming)
        status = reply.status if isinstance(reply, Rejection) else 300 if getattr(reply, "redirect", False) else 200
        await _respond(send, status, encode_reply(incoming, reply))

    async def _reply(self, store: Store, incoming: Incoming) -> Any:
        verdict = self.judge(incoming.auth)
        if verdict != 200:
            return Rejection(verdict, "Unauthorized" if verdict == 401 else "Forbidden")
        if isinstance(incoming.request, Rejection):
            return incoming.request
        try:
            return await store.send(incoming.request)
        except AuthError as error:
            return Rejection(401, str(error))
        except StoreError as error:
            return Rejection(500, f"Internal error: {error}")

    # ------------------------------------------------------------ messages

    async def _poll(self, scope: Scope, group: str, pid: str, receive: Receive, send: Send) -> None:
        self.polls += 1
        verdict = self.judge(_bearer(scope))
        if verdict != 200:
            await _respond(send, verdict, b"Unauthorized", "text/plain")
            return
        store = self.backend.connect(group=group, pid=pid)
        await store.start()
        scope["state"][_STREAMS].append(store)
        try:
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            await _until_gone(_stream(store, send), receive)
        finally:
            scope["state"][_STREAMS].remove(store)
            await store.stop()


def _without_delta(body: bytes) -> bytes:
    """Return a request without what a server that does not know it passes over, whatever is in it."""
    try:
        envelope = orjson.loads(body)
        envelope["data"].pop("delta", None)
    except (ValueError, TypeError, LookupError, AttributeError):
        return body
    return orjson.dumps(envelope)


async def _stream(store: Store, send: Send) -> None:
    async for message in store.messages():
        if not isinstance(message, Reconnected | Dropped):
            data = b"data: " + encode_message(message) + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(work: Any, receive: Receive) -> None:
    """Do `work` until it is done or the client has gone."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait([working, leaving])


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _bearer(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name.lower() == b"authorization" and value.startswith(b"Bearer "):
            return str(value[7:].decode("latin-1"))
    return None


async def _respond(send: Send, status: int, body: bytes, content_type: str = "application/json") -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# ---------------------------------------------------------------- in the process


_lives: set[asyncio.Future[None]] = set()
"""Of applications whose transport nobody closed, too: an event loop holds its tasks only weakly, and one that has been
forgotten would be closed by the garbage collector, in the middle of anything, and not be ended with its loop."""


class FrontTransport(httpx.AsyncBaseTransport):
    """Carries requests to an ASGI application in this process, on the event loop that sends them.

    Unlike httpx's own, it hands over the body of a response as it comes, so that it can carry streams of messages.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._life: asyncio.Task[None] | None = None
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return as soon as the response begins."""
        await self._begin()
        exchange = _Exchange(await request.aread())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "state": dict(self._state),
        }
        task = asyncio.get_running_loop().create_task(exchange.serve(self._app, scope))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            status, headers = await asyncio.shield(exchange.begun)
        except asyncio.CancelledError:
            exchange.leave()
            raise
        return httpx.Response(status, headers=headers, stream=exchange)

    async def aclose(self) -> None:
        """End what is under way, and the application's life."""
        life, asked, self._life = self._life, self._asked, None
        for task in [*self._tasks]:
            task.cancel()
        if self._tasks:
            await asyncio.wait([*self._tasks])
        if life is not None:
            asked.put_nowait({"type": "lifespan.shutdown"})
            await life

    async def _begin(self) -> None:
        if self._life is not None:
            return
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def send(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "lifespan.startup.complete":
                begun.set_result(None)

        self._asked = asyncio.Queue()
        self._asked.put_nowait({"type": "lifespan.startup"})
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        self._life = asyncio.ensure_future(self._app(scope, self._asked.get, send))
        _lives.difference_update([life for life in tuple(_lives) if life.get_loop().is_closed()])
        _lives.add(self._life)
        self._life.add_done_callback(_lives.discard)
        await asyncio.wait([begun, self._life], return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            await self._life


class _Exchange(httpx.AsyncByteStream):
    """One request and its response, which is read while the application writes it."""

    def __init__(self, body: bytes) -> None:
        self.begun: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = asyncio.get_running_loop().create_future()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self._outgoing: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    async def serve(self, app: App, scope: Scope) -> None:
        """Let the application answer."""
        problem: Exception | None = None
        try:
            await app(scope, self._incoming.get, self._send)
        except Exception as error:  # noqa: BLE001 - the application's error is the client's broken connection
            problem = httpx.RemoteProtocolError(f"the application failed: {type(error).__name__}: {error}")
        finally:
            if not self.begun.done():
                self.begun.set_exception(problem or httpx.RemoteProtocolError("the application did not answer"))
                self.begun.exception()  # it may be that nobody waits for it any more
            self._outgoing.put_nowait(problem)

    def leave(self) -> None:
        """Let the application know that the client has gone."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def _send(self, event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            if not self.begun.done():
                self.begun.set_result((event["status"], list(event.get("headers", ()))))
            return
        if event.get("body"):
            self._outgoing.put_nowait(event["body"])
        if not event.get("more_body"):
            self._outgoing.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._outgoing.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def aclose(self) -> None:
        self.leave()
        with suppress(asyncio.QueueEmpty):
            while True:
                self._outgoing.get_nowait()
