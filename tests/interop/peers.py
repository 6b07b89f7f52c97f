"""Processes of other implementations: how they are found, started and spoken to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import httpx
from attrs import define, field

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".interop"
PACKAGES = Path(os.environ.get("RESONATE_TEST_NODE", INSTALLED / "node"))
OFFICIAL = Path(os.environ.get("RESONATE_TEST_OFFICIAL", INSTALLED / "official")) / "bin" / "python"

START_SECONDS = 60
ASK_SECONDS = 20


COMMAND = os.environ.get("RESONATE_TEST_SERVER_COMMAND", "")


def no_node() -> str | None:
    """Return why nothing can run on Node, None if it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (PACKAGES / "node_modules" / "@resonatehq" / "sdk").is_dir():
        return f"@resonatehq/sdk is not in {PACKAGES}: `make interop` installs it"
    return None


def no_official() -> str | None:
    """Return why the official Python SDK can't run, None if it can."""
    return None if OFFICIAL.exists() else f"resonate-sdk is not in {OFFICIAL.parent}: `make interop` installs it"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@define(eq=False)
class Process:
    """A child that says one line of JSON when it is ready and ends when its standard input does."""

    command: list[str]
    hello: dict[str, Any] = field(factory=dict)
    _child: subprocess.Popen[str] = field(init=False)
    _waiting: dict[str, Future[dict[str, Any]]] = field(factory=dict)

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        hello: Future[dict[str, Any]] = Future()
        self._waiting[""] = hello
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.hello = hello.result(START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(3)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()

    async def start(self, id: str, target: str, func: str, *args: Any, **more: Any) -> Any:
        """Let the peer start `func` in the group `target`; return the result. Raise `PeerError` with its failure."""
        reply = await self.ask(id, target=target, func=func, args=args, **more)
        if "error" in reply:
            raise PeerError(reply["error"]["name"], reply["error"]["message"])
        return reply["value"]

    async def listening(self, group: str) -> None:
        """Return once this worker hears of its tasks: it says hello before its stream of messages is open."""
        for attempt in range(40):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1 * 1.2**attempt):
                    assert await self.start(f"{group}-{attempt}", group, "add", 1, attempt) == 1 + attempt
                    return
        raise AssertionError(f"{self.command} hears of no task")

    async def ask(self, id: str, *, seconds: float = ASK_SECONDS, **what: Any) -> dict[str, Any]:
        """Send one line, and return the line that answers it."""
        assert self._child.stdin is not None
        answer: Future[dict[str, Any]] = Future()
        self._waiting[id] = answer
        print(json.dumps({"id": id, **what}), file=self._child.stdin, flush=True)
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(answer)

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            reply = json.loads(line)
            answer = self._waiting.pop(reply.get("id", ""))
            if not answer.cancelled():
                answer.set_result(reply)
        for answer in self._waiting.values():
            answer.set_exception(EOFError(f"{' '.join(self.command)} has ended"))


class PeerError(Exception):
    """A failure as a peer saw it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@define(eq=False)
class OwnServer:
    """A Resonate server of the test's own, on a file, so that it can be killed and started again."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(factory=free_port)
    _child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = [word.format(port=self.port, db=self.folder / "resonate.db") for word in shlex.split(COMMAND)]
        words += self.options
        with (self.folder / "server.log").open("ab") as log:
            self._child = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{self.url}/health")
                return
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def node_server(*options: str) -> Process:
    """Return the TypeScript SDK's in-process server behind HTTP; its hello has the `url`."""
    return Process(["node", str(HERE / "peer_server.mjs"), str(PACKAGES), *options])


@contextlib.contextmanager
def node_server_if_any() -> Iterator[Process | None]:
    """Run that server; None where it can't be."""
    if no_node():
        yield None
        return
    with node_server() as process:
        yield process


def typescript_worker(url: str, group: str) -> Process:
    """Return a worker of the TypeScript SDK."""
    return Process(["node", str(HERE / "peer_worker.mjs"), str(PACKAGES), url, group])


def official_worker(url: str, group: str) -> Process:
    """Return a worker of the official Python SDK. (-E: no PYTHONPATH, which may lead to the other `resonate`.)"""
    return Process([str(OFFICIAL), "-E", str(HERE / "peer_worker.py"), url, group])
