"""Over real connections on loopback, by the transport that is used unless another is asked for."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import defaultdict

import orjson
import pytest
import uvicorn

from resonate import Context, MemoryServer, NetworkError, Resonate
from resonate.adapters.http import HttpBackend
from resonate.adapters.http.carrier import LeanCarrier
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.requests import PromiseGet, Rejection
from resonate.testing import HttpFront
from tests.unit.http.wild import until
from tests.unit.told import Told


class Listening:
    """A front on a port of its own, in a thread; it can go down and come up again on the same port."""

    def __init__(self, front: HttpFront) -> None:
        self.front = front
        self.kinds: dict[int, list[str]] = defaultdict(list)
        """What came over each connection, by the client's port."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        if self._socket.fileno() < 0:
            self._socket = socket.create_server(("127.0.0.1", self.port))
        config = uvicorn.Config(
            self._app, log_config=None, timeout_graceful_shutdown=1, lifespan="on", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.001)

    def down(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _app(self, scope, receive, send):
        if scope["type"] != "http":
            await self.front(scope, receive, send)
            return
        port = scope["client"][1]
        if scope["method"] == "GET":
            self.kinds[port].append("stream")

        async def read():
            event = await receive()
            if event.get("body"):
                self.kinds[port].append(orjson.loads(event["body"])["kind"])
            return event

        await self.front(scope, read, send)


@pytest.fixture
def listening():
    server = Listening(HttpFront(MemoryServer()))
    server.up()
    yield server
    server.down()


def double(n: int) -> int:
    return 2 * n


async def flow(ctx: Context, n: int) -> int:
    return sum(await asyncio.gather(*(ctx.run(double, i) for i in range(n)))) + await ctx.rpc("far", 1)


async def far(ctx: Context, n: int) -> int:
    return await ctx.run(double, n)


async def test_a_workflow_runs_over_a_few_connections_that_are_kept(listening):
    client = Resonate(listening.url)
    client.register(flow)
    client.register(far)
    async with client, asyncio.timeout(60):
        carrier = await client._session.parts.backing._network._carriers.here()
        assert isinstance(carrier, LeanCarrier)
        for number in range(5):
            assert await client.run(f"root-{number}", flow, 8) == 58
        assert (await client.health()).ok
    requests = sum(len(kinds) for kinds in listening.kinds.values())
    # As many are opened as there are requests in flight at once, which is for the scheduler to say; each is used again.
    assert len(listening.kinds) * 5 < requests
    assert ["stream"] in listening.kinds.values()


async def test_a_blocked_event_loop_costs_no_lease_as_heartbeats_have_a_connection_of_their_own():
    clock, attempts = Told(), []
    listening = Listening(HttpFront(MemoryServer(clock)))

    async def blocks(ctx: Context) -> str:
        return await ctx.run(block)

    async def block() -> str:
        attempts.append(None)
        for _ in range(6):  # three lengths of the lease, in which this loop does nothing else
            clock.pass_by(5_000, is_renewed)
        return "done"

    def is_renewed() -> bool:
        return client._session.parts.worker._leases._held["root"] == (1, clock.at)

    client = Resonate(HttpBackend(listening.url, dialect=OURS, clock=clock), ttl=10, grace=0)
    client.register(blocks)
    listening.up()
    try:
        async with client, asyncio.timeout(120):
            assert await client.run("root", blocks) == "done"
    finally:
        await asyncio.to_thread(listening.down)
    assert len(attempts) == 1
    beating = [kinds for kinds in listening.kinds.values() if "task.heartbeat" in kinds]
    assert {kind for kinds in beating for kind in kinds} == {"task.heartbeat"}
    assert sum(map(len, beating)) >= 6
    assert sum(kinds.count("task.acquire") for kinds in listening.kinds.values()) == 0


@pytest.mark.slow
async def test_a_server_that_goes_down_and_comes_up_again_is_gone_on_with(listening):
    step = asyncio.Event()

    async def slow(ctx: Context) -> int:
        first = await ctx.run(waits)
        return first + await ctx.rpc("far", 1)

    async def waits() -> int:
        await step.wait()
        return 1

    client = Resonate(listening.url)
    client.register(slow)
    client.register(far)
    async with client, asyncio.timeout(60):
        running = asyncio.ensure_future(client.run("root", slow))
        await until(lambda: any("task.fence" in kinds for kinds in listening.kinds.values()))
        await asyncio.to_thread(listening.down)
        step.set()
        await asyncio.sleep(0.05)
        assert not (await client.health()).ok
        await asyncio.to_thread(listening.up)
        assert await running == 3


# ---------------------------------------------------------------- no server at all

ANSWERS = {
    "never": None,
    "closes at once": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a bad status": b"HTTP/1.1 banana\r\n\r\n",
    "half a header": b"HTTP/1.1 200 OK\r\ncontent-len",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
    "half a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
    "bad chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{\r\n",
    "bad gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"x-more: " + b"y" * 100_000 + b"\r\n",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_speaks_no_http_is_a_network_error(name):
    sent = ANSWERS[name]

    async def serve(reader, writer):
        asked = await reader.readuntil(b"\r\n\r\n")
        if asked.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        elif sent is not None:
            writer.write(sent)
            writer.close()
            return
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    patience = 0.3 if name == "never" else 50
    store = HttpBackend(url, dialect=OURS, timeout=patience, patience=60).connect(group="g", pid="p")
    await store.start()
    async with asyncio.timeout(120):
        with pytest.raises(NetworkError, match=url) as caught:
            await store.send(PromiseGet("p"))
    await store.stop()
    server.close()
    await server.wait_closed()
    assert caught.value.retriable
    assert ("in time" in str(caught.value)) == (name == "never")


async def test_where_nobody_listens_is_a_network_error():
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    with pytest.raises(NetworkError, match=f"{url} could not be asked for messages: .*Connect"):
        await HttpBackend(url, patience=0).connect(group="g", pid="p").start()


async def test_plain_httpx_does_as_well(listening):
    import httpx

    store = HttpBackend(listening.url, client=httpx.AsyncClient).connect(group="g", pid="p")
    await store.start()
    assert store.dialect == OURS
    assert {type(reply) for reply in await store.send_all([PromiseGet("p")] * 20)} == {Rejection}
    await store.stop()


def test_it_is_the_same_on_uvloop(listening):
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def main() -> int:
        async with Resonate(listening.url, pid="one") as client:
            client.register(flow)
            client.register(far)
            return await client.run("a", flow, 8)

    assert uvloop.run(main()) == 8 * 7 + 2
    assert ["stream"] in listening.kinds.values()
