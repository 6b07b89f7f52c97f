"""The command on a Resonate server over HTTP, and what it says of one that refuses."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta

import pytest
import uvicorn

from resonate import Context, MemoryServer, sync
from resonate.core.protocol.settings import Settings
from resonate.testing import NO_SEARCHES, FieldServer, HttpFront
from tests.unit.cli.conftest import Command


class Listening:
    """A front on a port of its own, in a thread."""

    def __init__(self, front: HttpFront) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(front, log_config=None, timeout_graceful_shutdown=1, lifespan="on", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.001)
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


async def approve(ctx: Context) -> object:
    await ctx.run(lambda: 1)
    return await (await ctx.promise(timeout=timedelta(hours=1)))


def opened(url: str) -> sync.Resonate:
    client = sync.Resonate(url, grace=0, pid="one")
    client.register(approve)
    return client


@pytest.fixture(params=["ours", "field"])
def server(request):
    server = MemoryServer(settings=Settings(targeted_timers=request.param == "field"))
    with Listening(HttpFront(server if request.param == "ours" else FieldServer(server))) as url:
        yield url


def waits(resonate: Command, id: str) -> None:
    until = time.monotonic() + 60
    while resonate("tree", id, "--json").json["root"]["status"] != "waiting":
        assert time.monotonic() < until


def test_the_whole_round_on_a_server(server):
    resonate = Command(server)
    with opened(server) as client:
        handle = client.begin_run("a", approve)
        waits(resonate, "a")
        assert resonate("ps").lines[1].startswith("waiting  a   approve   default")
        why = resonate("why", "a")
        assert why.lines[0].startswith("a waits for a:2: nobody has settled the promise a:2 in ")
        resonate("halt", "a")
        assert resonate("why", "a").lines[0] == "a (approve) was halted, and no worker is offered it."
        resonate("continue", "a")
        resonate("resolve", "a:2", '"fine"')
        assert handle.result(timeout=60) == "fine"
        assert resonate("invoke", "b", "-f", "approve").out == "b is offered to group default.\n"
        waits(resonate, "b")
        resonate("cancel", "b")
    assert resonate("why", "b").lines[0].startswith("b is over: it was canceled ")


def test_a_server_without_searches_is_asked_by_ids():
    with Listening(HttpFront(FieldServer(MemoryServer(settings=Settings(targeted_timers=True)), NO_SEARCHES))) as url:
        resonate = Command(url)
        with opened(url) as client:
            client.begin_run("a", approve)
            waits(resonate, "a")
            why = resonate("why", "a")
            assert why.lines[0].startswith("a waits for a:2: nobody has settled the promise a:2 in ")
            assert "serves no searches" in why.lines[-1]
            assert "serves no searches" in resonate("tree", "a").err
        assert "serves no searches, so it can't list" in resonate("ps", code=2).err
        assert "serves no searches" in resonate("promises", "search", code=2).err


def test_a_token_that_is_refused_is_code_4():
    front = HttpFront(MemoryServer(), judge=lambda token: 200 if token == "right" else 401)
    with Listening(front) as url:
        resonate = Command(url)
        assert len(resonate("ps", code=4).err.splitlines()) == 1
        resonate("ps", "--token", "right")
        resonate("ps", env={"RESONATE_TOKEN": "right"})


def test_it_takes_no_work_from_a_server(server):
    resonate = Command(server)
    resonate("invoke", "a", "-f", "approve")
    for command in (["ps"], ["why", "a"], ["tree", "a"], ["invoke", "b", "-f", "approve"], ["halt", "b"]):
        resonate(*command)
    assert resonate("tasks", "get", "a", "--json").json["version"] == 0
