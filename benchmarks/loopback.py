"""Workloads over HTTP on loopback: beside the bare round trips that the protocol needs, and the official Python SDK.

The server is this library's own, in a process of its own (`benchmarks.stub`), the same for all. The bare round trips
are the very requests that this client sends, written to plain asyncio streams; their replies are read, not decoded.
The *engine over bare round trips* is this client on the memory store, with each request also sent as a bare round trip
before it is answered from memory: what a step takes if HTTP costs nothing but the bare round trips.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import field, frozen

from benchmarks.harness import Spending, Spent, Work
from benchmarks.scenarios import fan_out, new_client, sequential, sequential_rpc
from resonate.adapters.http import HttpBackend
from resonate.adapters.memory import MemoryServer
from resonate.core.protocol.requests import Rejection, Request, TaskCreate, TaskFence
from resonate.core.protocol.wire import encode_request
from resonate.ports.store import Store
from resonate.runtime.relay import Relay
from resonate.testing.faults import Faulty
from tests.interop import peers

IN_FLIGHT = 64
"""Connections of those who have several requests under way."""
SEQUENTIAL = "steps, one after another"
AT_ONCE = "steps at once"
SHAPES: dict[str, tuple[Callable[..., Any], str, tuple[int, ...], str]] = {
    SEQUENTIAL: (sequential, "sequential", (250, 500, 1_000), "step"),
    AT_ONCE: (fan_out, "fanned_out", (250, 500, 1_000), "step"),
    "rpc, one after another": (sequential_rpc, "calls", (50,), "call"),
}
BARE = "bare round trips"
OFFICIAL = "official Python SDK"
ENGINE = "engine over bare round trips"
OURS = "resonate"

R = TypeVar("R")
Run = Callable[[int], Awaitable[Spent]]


def name(shape: str, who: str) -> str:
    return f"{shape}: {who}"


def some_id() -> str:
    """Return an id that is new, and as long as all others."""
    return f"execution-{secrets.token_hex(4)}"


# ---------------------------------------------------------------- this client


def ours(url: str, workflow: Callable[..., Any]) -> Run:
    """Time one execution by this client."""

    async def run(size: int) -> Spent:
        async with new_client(HttpBackend(url, connections=IN_FLIGHT)) as client:
            await client.run(some_id(), workflow, IN_FLIGHT)  # those beside it have their connections open, too
            spending = Spending()
            total = await client.run(some_id(), workflow, size)
            spent = spending.spent()
        assert total == size * (size - 1) // 2
        return spent

    return run


async def sent(url: str, workflow: Callable[..., Any], size: int, execution_id: str) -> list[Request[Any]]:
    """Return what this client sends for one execution."""
    counting = Faulty(HttpBackend(url))
    async with new_client(counting) as client:
        await client.run(execution_id, workflow, size)
    return counting.requests[next(n for n, one in enumerate(counting.requests) if isinstance(one, TaskCreate)) :]


# ---------------------------------------------------------------- bare round trips


class Stream:
    """One connection on which requests are sent by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, body: bytes) -> None:
        """Send a request, and read its reply to the end."""
        self._writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 300")), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self._reader.readexactly(int(length[15:]))

    def close(self) -> None:
        self._writer.close()


async def opened(url: str, connections: int) -> list[Stream]:
    """Return so many connections."""
    place = urlsplit(url)
    return [Stream(*await asyncio.open_connection(place.hostname, place.port)) for _ in range(connections)]


def in_rows(requests: Sequence[Request[Any]]) -> list[list[bytes]]:
    """Return requests as bytes, in rows that each keep their order; rows but the first and the last are independent."""
    rows: dict[str, list[bytes]] = defaultdict(list)
    for request in requests:
        row = request.action.id if isinstance(request, TaskFence) else f"{isinstance(request, TaskCreate):d}"
        rows[row].append(encode_request(request, "1"))
    return [rows.pop("1"), *(row for key, row in rows.items() if key != "0"), rows["0"]]


def bare(url: str, workflow: Callable[..., Any], connections: int) -> Run:
    """Time the requests of one execution, so many at once."""
    models: dict[int, tuple[bytes, list[list[bytes]]]] = {}

    async def run(size: int) -> Spent:
        if size not in models:
            model = some_id()
            models[size] = (model.encode(), in_rows(await sent(url, workflow, size, model)))
        known, bodies = models[size]
        new = some_id().encode()
        first, *rows, last = [[body.replace(known, new) for body in row] for row in bodies]
        streams = await opened(url, connections)
        left = iter(rows)

        async def drain(stream: Stream) -> None:
            for row in left:
                for body in row:
                    await stream.ask(body)

        spending = Spending()
        for body in first:
            await streams[0].ask(body)
        await asyncio.gather(*map(drain, streams))
        for body in last:
            await streams[0].ask(body)
        spent = spending.spent()
        for stream in streams:
            stream.close()
        return spent

    return run


# ---------------------------------------------------------------- this engine over bare round trips


@frozen
class Trips(Relay):
    """Sends each request as a bare round trip, over the streams that are free, before the memory store answers it."""

    free: list[Stream]

    async def send(self, request: Request[R]) -> R | Rejection:
        """See the port."""
        await self.free[0].ask(encode_request(request, "1"))
        return await self.inner.send(request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """See the port."""
        left = iter(requests)

        async def drain(stream: Stream) -> None:
            for request in left:
                await stream.ask(encode_request(request, "1"))

        await asyncio.gather(*map(drain, self.free[: len(requests)]))
        return await self.inner.send_all(requests)


@frozen
class Tripping:
    """A memory server whose requests are round trips to another server, too."""

    streams: list[Stream]
    server: MemoryServer = field(factory=MemoryServer, init=False)

    def connect(self, *, group: str, pid: str) -> Store:
        """See `resonate.ports.store.Backend`."""
        return Trips(self.server.connect(group=group, pid=pid), self.streams)


def engine(url: str, workflow: Callable[..., Any], connections: int) -> Run:
    """Time one execution on the memory store, with its requests as bare round trips, so many at once."""

    async def run(size: int) -> Spent:
        streams = await opened(url, connections)
        async with new_client(Tripping(streams)) as client:
            spending = Spending()
            total = await client.run(some_id(), workflow, size)
            spent = spending.spent()
        for stream in streams:
            stream.close()
        assert total == size * (size - 1) // 2
        return spent

    return run


# ---------------------------------------------------------------- the official SDK


def official(process: peers.Process, shape: str) -> Run:
    """Time one execution by the official Python SDK, in its process."""

    async def run(size: int) -> Spent:
        reply = await process.ask(some_id(), seconds=600, shape=shape, size=size)
        return Spent(reply["seconds"], reply["cpu"])

    return run


@asynccontextmanager
async def running(process: peers.Process) -> AsyncGenerator[peers.Process]:
    await asyncio.to_thread(process.__enter__)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.__exit__)


# ---------------------------------------------------------------- all


@asynccontextmanager
async def works(*, with_official: bool = True) -> AsyncGenerator[list[Work]]:
    """Yield the works while their server and their peer run. Where the peer is not installed, say so."""
    async with AsyncExitStack() as stack:
        server = peers.Process([sys.executable, "-m", "benchmarks.stub"])
        url = (await stack.enter_async_context(running(server))).hello["url"]
        why_not = peers.no_official() if with_official else "not asked for"
        if why_not:
            print(f"Without the official Python SDK over HTTP: {why_not}")
        else:
            script = str(Path(__file__).with_name("official.py"))
            command = [str(peers.OFFICIAL), "-E", script, url, "official"]
            peer = await stack.enter_async_context(running(peers.Process(command)))
        made: list[Work] = []
        for shape, (workflow, word, sizes, unit) in SHAPES.items():
            if word != "calls":
                connections = IN_FLIGHT if word == "fanned_out" else 1
                made.append(Work(name(shape, BARE), bare(url, workflow, connections), sizes, unit))
                over = engine(url, workflow, connections)
                made.append(Work(name(shape, ENGINE), over, sizes, unit, name(shape, BARE)))
            made.append(Work(name(shape, OURS), ours(url, workflow), sizes, unit, name(shape, BARE)))
            if not why_not:
                made.append(Work(name(shape, OFFICIAL), official(peer, word), sizes, unit, name(shape, OURS)))
        yield made


async def counted() -> dict[str, float]:
    """Return how many requests this client sends for each unit of the smallest size."""
    async with running(peers.Process([sys.executable, "-m", "benchmarks.stub"])) as server:
        return {
            name(shape, OURS): len(await sent(server.hello["url"], workflow, sizes[0], some_id())) / sizes[0]
            for shape, (workflow, _word, sizes, _unit) in SHAPES.items()
        }
