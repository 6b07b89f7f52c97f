"""Other processes on a file, and faults made on purpose."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
"""Seconds after which a test gives up waiting for what should happen at once, on a machine that does much else."""


async def until(happened: Callable[[], Any]) -> Any:
    """Wait for something that happens outside of the event loop: in a file, a process, a log."""
    end = time.monotonic() + PATIENCE
    while not (seen := happened()):
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.005)
    return seen


def sql(path: Path, *statements: str) -> list[Any]:
    """Do statements in another process, as a person with a shell would; return what the last one gave."""
    script = (
        "import json, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]: rows = connection.execute(statement).fetchall()\n"
        "print(json.dumps(rows))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), *statements], check=True, timeout=PATIENCE, capture_output=True
    )
    return json.loads(done.stdout)


class Peer:
    """Another process that runs `tests/unit/sqlite/peer.py`: it does what it is told, one line of JSON each way."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("peer.py")), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, command: str, *arguments: Any) -> None:
        """Give a command, and do not wait for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """Wait for the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the process has ended with {self.process.wait()}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def ask(self, command: str, *arguments: Any) -> Any:
        self.tell(command, *arguments)
        return self.hear()

    async def aask(self, command: str, *arguments: Any) -> Any:
        """Ask while this process's event loop goes on."""
        return await asyncio.to_thread(self.ask, command, *arguments)

    async def ahear(self) -> Any:
        return await asyncio.to_thread(self.hear)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Let it close what it has open, and end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()


@contextmanager
def peer(*arguments: object) -> Iterator[Peer]:
    one = Peer(*arguments)
    try:
        yield one
    finally:
        one.end()


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[bool]:
    """Mount a file system of its own on a folder; yield whether that is permitted."""
    done = subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)
