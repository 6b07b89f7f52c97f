"""Kills the demo's workflow at one boundary after another, lets it go on each time, and compares with a whole run.

    python -m tests.kills.sweep [--sample N]

The boundaries: before and after each request to the store; before each SQL statement, so between BEGIN and COMMIT, too;
after each COMMIT, before anybody has heard of it. Of the last two kinds it takes every N-th. The process kills itself,
with SIGKILL, since nobody else could strike so exactly; nothing of its own code runs after that.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from attrs import define, frozen

from resonate import JsonCodec, NotFound, Resonate
from resonate.adapters.sqlite import SqliteServer
from resonate.core.engine.deliveries import HEADER
from resonate.core.engine.identity import CALL, SITE
from resonate.core.protocol.properties import violated_state
from resonate.core.protocol.records import PromiseRecord
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.snapshot import Snapshot
from resonate.testing import CrashPoint, Faulty, When
from tests.kills.ledger import Ledger, look_through
from tests.kills.processes import born, die, was_killed

AT_ONCE = 6
PATIENCE = 30
"""Seconds after which a run is hung."""
ORDER = "order-42"
RANDOM = {"charge", "ship", "handle_order"}
"""Functions whose results are never the same."""
SETTINGS = Settings(retry_interval=200)

spec = importlib.util.spec_from_file_location("demo", Path(__file__).parents[2] / "examples" / "demo.py")
assert spec is not None
assert spec.loader is not None
demo = importlib.util.module_from_spec(spec)
sys.modules["demo"] = demo  # where type hints are looked up
spec.loader.exec_module(demo)
demo.DAY = timedelta(milliseconds=10)


@frozen
class Statement:
    """Before the `number`-th SQL statement of the process (from 1)."""

    number: int


@frozen
class Committed:
    """After the `number`-th COMMIT of the process has returned (from 1)."""

    number: int


Point = CrashPoint | Statement | Committed | None


class Statements:
    """Counts the SQL statements of this process, and ends it at a point. Nothing of it is replaced for that.

    Python tells an audit hook of each SQLite connection, the connection tells of each statement that begins, and a
    profiler hears of each call that returns: that of the connection, so that it can be listened to, and of COMMIT.
    """

    def __init__(self, point: Point) -> None:
        self.point = point
        self.begun = 0
        self.committed = 0
        self._committing = False
        self._opening: list[sqlite3.Connection] = []
        sys.addaudithook(self._heard)
        threading.setprofile(self._profile)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "sqlite3.connect/handle":
            self._opening.append(args[0])

    def _begins(self, sql: str) -> None:
        self.begun += 1
        if self.point == Statement(self.begun):
            die()
        self._committing = sql == "COMMIT"

    def _profile(self, _frame: FrameType, event: str, function: Any) -> None:
        if event != "c_return":
            return
        while self._opening:
            self._opening.pop().set_trace_callback(self._begins)
        if self._committing and function.__name__ == "execute":
            self._committing = False
            self.committed += 1
            if self.point == Committed(self.committed):
                die()


async def live(folder: Path, name: str, point: Point) -> None:
    """Be all three groups of the demo, until the order is done or this process dies."""
    statements = Statements(point)
    server = SqliteServer(folder / "shop.db", settings=SETTINGS)
    ledger = Ledger(folder / f"{name}.ledger", server)
    faulty = Faulty(ledger, point if isinstance(point, CrashPoint) else None, on_crash=die)
    shop = Resonate(faulty, group="shop", tracers=[ledger])
    office = Resonate(ledger, group="office", tracers=[ledger])
    warehouse = Resonate(ledger, group="warehouse", tracers=[ledger])
    shop.register(demo.handle_order)
    office.register(demo.ask_manager)
    warehouse.register(demo.reserve)
    for client in (shop, office, warehouse):
        client.set_dependency(demo.Book, demo.Book(folder / "book.txt"))
    with (folder / "said.txt").open("a") as said, redirect_stdout(said):
        async with asyncio.timeout(PATIENCE), shop, office, warehouse:
            handle = await office.options(target="shop").begin_rpc(
                ORDER, demo.handle_order, ORDER, ["Dune", "Emma"], 4800
            )
            manager = asyncio.create_task(approve(office))
            result = await handle.result()
            await manager
    whole = {
        "result": result,
        "requests": [type(request).__name__ for request in faulty.requests],
        "statements": statements.begun,
        "commits": statements.committed,
    }
    (folder / "result.json").write_text(json.dumps(whole))


async def approve(office: Resonate) -> None:
    """Approve what the manager was asked for, whoever was alive then."""
    while True:
        try:
            await office.get(f"{ORDER}:7").result()
        except NotFound:
            await asyncio.sleep(0.005)
        else:
            await office.promises.resolve(f"{ORDER}:6", value=True)
            return


# ---------------------------------------------------------------- one run, and what is left of it


@define
class Run:
    """An order that is killed at a point, and goes on."""

    folder: Path
    point: Point
    lives: int = 0

    def start(self) -> int:
        self.lives += 1
        self.folder.mkdir(exist_ok=True)
        return born(partial(live, self.folder, f"life-{self.lives}", self.point if self.lives == 1 else None))

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return told

    def history(self) -> dict[str, Any]:
        """Return what is stored, but for what no two runs have in common."""
        return {record.id: _lasting(record) for record in self.records()}

    def records(self) -> list[PromiseRecord]:
        return [promise.record for promise in self.snapshot().promises]

    def snapshot(self) -> Snapshot:
        return SqliteServer(self.folder / "shop.db").snapshot()

    def wrongs(self, whole: dict[str, Any]) -> Iterator[str]:
        """Yield what is wrong with a run that has come to its end."""
        records = self.records()
        results = {
            call: JsonCodec().decode(record.value, str) for record in records if (call := _call(record)) in RANDOM
        }
        if self.told["result"] != results["handle_order"]:
            yield "the result is not what was recorded"
        if self.told["result"] != f"{results['charge']}, {results['ship']}":
            yield f"the result is {self.told['result']}, not what the steps gave"
        history = self.history()
        for id in sorted({*history, *whole}):
            if history.get(id) != whole.get(id):
                yield f"{id} is {history.get(id)}, and not {whole.get(id)}"
        yield from violated_state(self.snapshot())
        yield from look_through(sorted(self.folder.glob("*.ledger")), {record.id: record for record in records}).wrong
        if left := sorted(path.name for path in self.folder.glob("*-alive-*")):
            yield f"it left {', '.join(left)}"


def _call(record: PromiseRecord) -> str:
    return record.param.headers.get(CALL, "").partition("@")[0]


def _lasting(record: PromiseRecord) -> tuple[Any, ...]:
    headers = {name: text for name, text in record.param.headers.items() if name not in (SITE, HEADER)}
    value = None if _call(record) in RANDOM else record.value.data
    return (record.state, headers, record.param.data, dict(record.tags), value)


# ---------------------------------------------------------------- the sweep


def points(told: dict[str, Any], every: int) -> Iterator[Point]:
    """Yield the boundaries of a run that went through."""
    for number in range(1, len(told["requests"]) + 1):
        yield from (CrashPoint(number, when) for when in When)
    yield from map(Statement, range(1, told["statements"] + 1, every))
    yield from map(Committed, range(1, told["commits"] + 1, every))


def sweep(folder: Path, every: int) -> int:
    """Do all of it; print what was wrong, and a summary; return the exit code."""
    started = time.monotonic()
    first = Run(folder / "whole", None)
    assert not was_killed(os.waitpid(first.start(), 0)[1])
    whole = first.history()
    wrong = [f"undisturbed: {sentence}" for sentence in first.wrongs(whole)]
    waiting = [Run(folder / str(n), point) for n, point in enumerate(points(first.told, every))]
    kinds = Counter(type(run.point).__name__ for run in waiting)
    kills = 0
    running: dict[int, Run] = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            run = waiting.pop()
            running[run.start()] = run
        pid, status = os.wait()
        run = running.pop(pid)
        if was_killed(status):
            kills += 1
            running[run.start()] = run
        else:  # a point that this run did not have is no point: the number of commits varies
            wrong += [f"killed at {run.point}: {sentence}" for sentence in run.wrongs(whole)]
            shutil.rmtree(run.folder)
    sys.stdout.write("".join(f"{sentence}\n" for sentence in wrong))
    sys.stdout.write(
        f"{kills} kills at {kinds.total()} boundaries ({kinds['CrashPoint']} of requests, {kinds['Statement']} of "
        f"{first.told['statements']} statements, {kinds['Committed']} commits) in {time.monotonic() - started:.0f} s: "
        f"{len(wrong) or 'nothing'} wrong\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill the demo's workflow at one boundary after another.")
    parser.add_argument("--sample", type=int, default=1, help="how many SQL statements, and commits, apart to kill")
    logging.getLogger("resonate").setLevel(logging.ERROR)  # that processes die is known here
    with tempfile.TemporaryDirectory() as name:
        sys.exit(sweep(Path(name), parser.parse_args().sample))
