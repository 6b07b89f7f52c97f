"""A store at a server in debug mode, which keeps the virtual time of a test instead of its own.

Each request says what time it is, and what is due happens when it is told to. So the store's contract can be held
against a server that somebody else wrote. For tests: it waits a moment after each request for messages to arrive.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import httpx
from attrs import define, field

from resonate.core.protocol.addresses import anycast, preferring, unicast
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import Rejection, Request, ScheduleCreate, ScheduleReply
from resonate.core.protocol.wire import decode_message, decode_reply, encode_request
from resonate.errors import NetworkError, StoreError
from resonate.testing.clock import VirtualClock

ACKNOWLEDGED = 0.05
"""Seconds after which a new stream is acknowledged; until then, a server may hold its first message back (Nagle)."""


@define(eq=False)
class DebuggedServer:
    """A Backend: the server at `url`, emptied when the first store connects, on the time of `clock`.

    With `dotted` it wants ids as `root.1.2`, and those that await each other under one root: `a` and `b:1` are `all.a`
    and `all.b.1` there. `arrival` is how many seconds a message takes that has been sent.
    """

    url: str
    clock: VirtualClock
    dotted: bool = False
    arrival: float = 0.01
    _numbers: Any = field(factory=itertools.count)
    _schedules: dict[str, int] = field(factory=dict)
    _alarm: asyncio.Task[None] | None = None
    _emptied: bool = False
    _line: asyncio.Lock = field(factory=asyncio.Lock)

    def connect(self, *, group: str, pid: str) -> DebuggedStore:
        return DebuggedStore(self, group, pid)

    async def open(self, client: httpx.AsyncClient) -> None:
        if not self._emptied:
            self._emptied = True
            await self._raw(client, "debug.reset", {})

    async def ask(self, client: httpx.AsyncClient, request: Request[Any]) -> Any:
        """Do one request, and let what it brings arrive before time goes on."""
        corr_id = str(next(self._numbers))
        envelope = json.loads(encode_request(request, corr_id))
        envelope["head"]["resonate:debug_time"] = self.clock.now()
        if self.dotted and not request.kind.startswith("schedule."):
            envelope = _renamed(envelope, _there)
        with self.clock.busy():
            body = await self._post(client, envelope)
            if self.dotted:
                body = json.dumps(_renamed(json.loads(body), _here)).encode()
            reply = decode_reply(request, corr_id, body)
            if isinstance(request, ScheduleCreate) and isinstance(reply, ScheduleReply):
                self._schedules[request.id] = reply.schedule.next_run_at
            await self._set_alarm(client)
        return reply

    async def _tick(self, client: httpx.AsyncClient) -> None:
        await self._raw(client, "debug.tick", {"time": self.clock.now()})
        for id in list(self._schedules):
            found = await self._raw(client, "schedule.get", {"id": id})
            if isinstance(found, dict):
                self._schedules[id] = found["schedule"]["nextRunAt"]
            else:
                del self._schedules[id]

    async def _set_alarm(self, client: httpx.AsyncClient) -> None:
        snap = await self._raw(client, "debug.snap", {})
        while snap["messages"]:
            await asyncio.sleep(self.arrival)
            snap = await self._raw(client, "debug.snap", {})
        await asyncio.sleep(self.arrival)
        due = [one["timeout"] for one in (*snap["promiseTimeouts"], *snap["taskTimeouts"])]
        instant = min((*due, *self._schedules.values()), default=None)
        if self._alarm is not None and self._alarm is not asyncio.current_task():
            self._alarm.cancel()
        self._alarm = None if instant is None else asyncio.create_task(self._ring(client, instant))

    async def _ring(self, client: httpx.AsyncClient, instant: int) -> None:
        await self.clock.sleep_until(instant)
        with self.clock.busy():
            await self._tick(client)
            await self._set_alarm(client)

    async def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    async def _raw(self, client: httpx.AsyncClient, kind: str, data: dict[str, Any]) -> Any:
        head = {"corrId": "debug", "version": "2026-04-01", "resonate:debug_time": self.clock.now()}
        return json.loads(await self._post(client, {"kind": kind, "head": head, "data": data}))["data"]

    async def _post(self, client: httpx.AsyncClient, envelope: dict[str, Any]) -> bytes:
        async with self._line:
            try:
                return (await client.post(self.url, content=json.dumps(envelope))).content
            except httpx.HTTPError as error:
                raise NetworkError(str(error)) from error


class DebuggedStore:
    """Member `pid` of `group` at that server."""

    dialect = Dialect()

    def __init__(self, server: DebuggedServer, group: str, pid: str) -> None:
        self._server, self._group, self._pid = server, group, pid
        self._client: httpx.AsyncClient | None = None
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._listening: asyncio.Task[None] | None = None

    @property
    def unicast(self) -> str:
        return unicast(self._group, self._pid)

    def anycast(self, group: str | None = None) -> str:
        return anycast(self._group if group is None else group)

    def prefer(self) -> str:
        return preferring(self._group, self._pid)

    async def start(self) -> None:
        if self._client is None:
            self._inbox = asyncio.Queue()
            self._client = httpx.AsyncClient(timeout=10)
            await self._server.open(self._client)
            connected = asyncio.Event()
            self._listening = asyncio.create_task(self._listen(self._client, connected))
            await connected.wait()
            await asyncio.sleep(ACKNOWLEDGED + self._server.arrival)

    async def stop(self) -> None:
        if self._client is not None and self._listening is not None:
            client, self._client = self._client, None
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
            self._inbox.put_nowait(None)
            await self._server.close()
            await client.aclose()
            await asyncio.sleep(self._server.arrival)

    async def send(self, request: Request[Any]) -> Any:
        if self._client is None:
            raise StoreError("The store is not started.")
        return await self._server.ask(self._client, request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        return [await self.send(request) for request in requests]

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self._inbox.get()) is not None:
            yield message

    async def _listen(self, client: httpx.AsyncClient, connected: asyncio.Event) -> None:
        url = f"{self._server.url}/poll/{self._group}/{self._pid}"
        async with client.stream("GET", url, timeout=None) as stream:
            connected.set()
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    body = line.removeprefix("data:").strip()
                    if self._server.dotted:
                        body = json.dumps(_renamed(json.loads(body), _here))
                    message = decode_message(body)
                    assert not isinstance(message, Rejection), message
                    self._inbox.put_nowait(message)


_IDS = {"id", "awaited", "awaiter", "cursor", "resonate:branch", "resonate:parent", "resonate:origin"}
_SWAPPED = str.maketrans(":.", ".:")


def _there(id: str) -> str:
    return f"all.{id.translate(_SWAPPED)}"


def _here(id: str) -> str:
    return id.removeprefix("all.").translate(_SWAPPED) if id.startswith("all.") else id


def _renamed(json: Any, rename: Any) -> Any:
    if isinstance(json, list):
        return [_renamed(one, rename) for one in json]
    if not isinstance(json, dict):
        return json
    return {
        name: rename(value) if name in _IDS and isinstance(value, str) and value else _renamed(value, rename)
        for name, value in json.items()
        if not (name == "resonate:origin" and rename is _there)
    }
