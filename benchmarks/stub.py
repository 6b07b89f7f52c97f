"""`python -m benchmarks.stub`: this library's own server over HTTP, on the memory store, lean enough to time clients.

Prints one line of JSON, {"url"}, when it listens; each line of its input, {"id"}, is answered by one, {"id", "cpu"}:
the CPU seconds that it has taken. Ends when its input does.

It is `resonate.testing.HttpFront` behind the little of HTTP/1.1 that clients of the protocol use: requests with a
content-length, connections that stay open, and streams that end with their connection.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

from resonate.adapters.memory import MemoryServer
from resonate.testing.front import HttpFront

State = MutableMapping[str, Any]
Event = MutableMapping[str, Any]


class Connection(asyncio.Protocol):
    """One client's connection: one request after another."""

    def __init__(self, front: HttpFront, state: State) -> None:
        self._front, self._state = front, state
        self._buffer = b""
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._events.put_nowait({"type": "http.disconnect"})

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        if self._task is not None:
            return
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = head.split(b"\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        length = int(dict(headers).get(b"content-length", b"0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._events.put_nowait({"type": "http.request", "body": rest[:length], "more_body": False})
        method, path, _version = first.decode("latin-1").split(" ")
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "state": self._state}
        self._task = asyncio.get_running_loop().create_task(self._front(scope, self._events.get, self._send))
        self._task.add_done_callback(self._answered)

    def _answered(self, _task: asyncio.Task[None]) -> None:
        self._task = None
        self._next()

    async def _send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            lines = [b"HTTP/1.1 %d OK" % event["status"], *(b"%s: %s" % header for header in event["headers"])]
            self._head = b"\r\n".join([*lines, b"", b""])
        elif not self._transport.is_closing():
            self._transport.write(self._head + event.get("body", b""))
            self._head = b""


async def main() -> None:
    front, state = HttpFront(MemoryServer()), dict[str, Any]()
    begun, over = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def receive() -> Event:
        if begun.is_set():
            await over.wait()
        return {}

    async def send(_event: Event) -> None:
        begun.set()

    life = asyncio.ensure_future(front({"type": "lifespan", "state": state}, receive, send))
    await begun.wait()
    server = await loop.create_server(lambda: Connection(front, state), "127.0.0.1", 0)
    print(json.dumps({"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({"id": json.loads(line)["id"], "cpu": time.process_time()}), flush=True)
    server.close()
    over.set()
    await life


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
