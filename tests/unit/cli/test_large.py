"""A file of 100,000 promises: what is shown is read, not what is stored. In CPU time, beside a small file."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from resonate import JsonCodec, SqliteServer
from resonate.core.protocol.records import PromiseState, Tag
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle, TaskHalt

SRC = Path(__file__).parents[3] / "src"
STEPS = 9

pytestmark = pytest.mark.slow


async def fill(path: Path, executions: int) -> None:
    """Make executions with steps, most of them over; one in a hundred is offered, one in a thousand halted."""
    server = SqliteServer(path, durability="normal")
    store = server.connect(group="filler", pid="filler")
    await store.start()
    call = JsonCodec().encode({"func": "checkout", "args": ["x" * 200], "version": 1})
    far = server.clock.now() + 10**9
    for start in range(0, executions, 500):
        creates, settles, halts = [], [], []
        for n in range(start, min(start + 500, executions)):
            root = f"order-{n:06}"
            tags = {Tag.TARGET: "poll://any@nobody", Tag.ORIGIN: root, Tag.BRANCH: root, Tag.PARENT: root}
            creates.append(PromiseCreate(id=root, timeout_at=far, param=call, tags=tags))
            steps = [f"{root}:{step}" for step in range(1, STEPS + 1)]
            below = {Tag.ORIGIN: root, Tag.PARENT: root, Tag.BRANCH: root, Tag.SCOPE: "local"}
            creates += [PromiseCreate(id=step, timeout_at=far, param=call, tags=below) for step in steps]
            over = steps if n % 100 == 0 else [*steps, root]
            settles += [PromiseSettle(id=one, state=PromiseState.RESOLVED, value=call) for one in over]
            halts += [TaskHalt(root)] if n % 1000 == 0 else []
        for batch in (creates, settles, halts):
            await store.send_all(batch)
    await store.stop()


def cpu(path: Path, *args: str) -> tuple[float, str]:
    """Return the CPU seconds of a command, and what it printed."""
    env = {**os.environ, "PYTHONPATH": str(SRC), "RESONATE_URL": f"sqlite:///{path}"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "resonate", *args], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    asyncio.run(fill(folder / "small.db", 100))
    asyncio.run(fill(folder / "large.db", 10_000))
    return folder / "small.db", folder / "large.db"


@pytest.mark.parametrize(
    "command",
    [
        ["ps"],
        ["ps", "--state", "halted"],
        ["ps", "--state", "resolved"],
        ["tree", "order-000042"],
        ["why", "order-000000"],
        ["tasks", "search", "--state", "halted"],
        ["promises", "search"],
    ],
    ids=" ".join,
)
def test_it_costs_little_more_than_on_a_small_file(files, command):
    small, large = [], []
    for _ in range(3):  # a busy machine makes a command dearer, and never cheaper: the least of a few is what it takes
        small.append(cpu(files[0], *command)[0])
        seconds, out = cpu(files[1], *command)
        large.append(seconds)
        assert out
        if min(large) < min(small) + 0.5:
            return
    pytest.fail(f"{min(small):.2f} s of CPU on a small file, {min(large):.2f} s on a large one")
