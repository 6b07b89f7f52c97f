"""Kills workers at random under a load of workflows, and lets them come to their end.

    python -m tests.kills.load [--kills 200] [--workflows 100] [--workers 3] [--seed N]

Three processes work on one file, a fourth starts the workflows and answers what they ask. A random worker is killed
every so often and started again, until there have been enough kills; then all that was begun comes to its end, and the
file is compared with what each process had written down.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import secrets
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field

from resonate import Context, Info, Resonate
from resonate.adapters.clock import SystemClock
from resonate.adapters.sqlite import SqliteServer
from resonate.core.protocol.properties import violated_state
from resonate.core.protocol.records import PromiseState, TaskState
from resonate.core.protocol.settings import Settings
from tests.kills.ledger import Ledger, look_through
from tests.kills.processes import born, was_killed

PATIENCE = 120
"""Seconds, beside those of the kills, after which a run is hung."""
PAUSE = (0.1, 0.3)
"""Seconds between two kills, at least and at most."""
ROUNDS = 12
KINDS = 6
ASKED = {"asked": "yes"}
ANSWER = 11
SETTINGS = Settings(retry_interval=500)

# ---------------------------------------------------------------- the workflows


def stamp(info: Info) -> str:
    """Give something else each time: a step that is recorded twice can't go unnoticed."""
    return f"{info.id} {secrets.token_hex(8)}"


async def double(n: int) -> int:
    """Take a while, so that kills find something that is under way."""
    await asyncio.sleep(random.uniform(0, 0.05))
    return 2 * n


async def part(ctx: Context, n: int, nap: float) -> int:
    """Run as a child of every kind: called, called elsewhere, detached."""
    doubled = await ctx.run(double, n)
    await ctx.run(stamp)
    await ctx.sleep(nap)
    return doubled + await ctx.run(double, 1)


async def work(ctx: Context, n: int, nap: float) -> tuple[int, list[str]]:
    """Do a bit of everything, in rounds."""
    total, stamps, detached = 0, set[str](), list[str]()
    for turn in range(ROUNDS):
        stamps.add(await ctx.run(stamp))
        match (n + turn) % KINDS:
            case 0:
                total += sum(await asyncio.gather(*(ctx.run(double, i) for i in range(5))))
            case 1:
                total += sum(await asyncio.gather(*(ctx.rpc(part, i, nap / 10) for i in range(2))))
            case 2:
                asked = await ctx.options(tags=ASKED).promise(returns=int)
                total += await asked
            case 3:
                detached.append(await ctx.detached(part, n, nap))
            case 4:
                total += await ctx.run(part, n, nap / 10)
            case _:
                total += await ctx.race(ctx.run(double, n), ctx.sleep(3_600))
        await ctx.sleep(nap * (0.5 + ctx.random.random()))
    return total + len(stamps), detached


def expected(n: int) -> int:
    """Return what `work` gives: each kind of round comes equally often."""
    return (20 + (2 + 4) + ANSWER + (2 * n + 2) + 2 * n) * ROUNDS // KINDS + ROUNDS


# ---------------------------------------------------------------- the processes


async def worker(folder: Path, number: int, life: int) -> None:
    """Work until it is told to stop, or killed. Those that follow each other have one pid, as under a supervisor."""
    server = SqliteServer(folder / "load.db", settings=SETTINGS)
    ledger = Ledger(folder / f"worker-{number}-{life}.ledger", server)
    client = Resonate(ledger, group="load", pid=f"worker-{number}", tracers=[ledger])
    for function in (work, part):
        client.register(function)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with client:
        await stopped.wait()


async def customer(folder: Path, workflows: int, nap: float, patience: float) -> None:
    """Start all workflows, answer what they ask, and write down what they give."""
    ledger = Ledger(folder / "customer.ledger", SqliteServer(folder / "load.db", settings=SETTINGS))
    client = Resonate(ledger, group="customer", tracers=[ledger])
    async with asyncio.timeout(patience), client:
        load = client.options(target="load")
        handles = [await load.begin_rpc(f"work-{n}", work, n, nap) for n in range(workflows)]
        answering = asyncio.create_task(answer(client))
        results = [await handle.result() for handle in handles]
        for n, (total, detached) in enumerate(results):
            assert total == expected(n), f"work-{n} gave {total}, not {expected(n)}"
            assert len(detached) == ROUNDS // KINDS, f"work-{n} has lost what it detached"
            for id in detached:
                given = await client.get(id, returns=int).result()
                assert given == 2 * n + 2, f"{id} gave {given}"
        answering.cancel()


async def answer(client: Resonate) -> None:
    """Resolve what is asked, again and again."""
    while True:
        async for promise in client.promises.search(state="pending", tags=ASKED):
            await client.promises.resolve(promise.id, ANSWER)
        await asyncio.sleep(0.1)


# ---------------------------------------------------------------- the kills


@define(kw_only=True)
class Plan:
    """What is done, and what came of it."""

    folder: Path
    kills: int
    workflows: int
    workers: int
    seed: int
    killed: int = 0
    buyer: int = 0
    alive: dict[int, int] = field(factory=dict)
    """Number of the worker by pid."""
    started: float = field(factory=time.monotonic)
    busy: float = 0.0
    """Seconds until the last kill."""

    @property
    def duration(self) -> float:
        return self.kills * sum(PAUSE) / 2

    def play(self) -> None:
        """Do all of it. Raise if a process fails, or if the work is done too early; leave no process behind."""
        nap = self.duration / ROUNDS
        self.buyer = born(partial(customer, self.folder, self.workflows, nap, self.duration * 3 + PATIENCE))
        try:
            self.play_on()
        except BaseException:
            sys.stdout.writelines(f"{sentence}\n" for sentence in self.unfinished())
            raise
        finally:
            for pid in (self.buyer, *self.alive):
                if pid:
                    os.kill(pid, signal.SIGKILL)

    def play_on(self) -> None:
        chance = random.Random(self.seed)
        for number in range(self.workers):
            self.start(number)
        while self.killed < self.kills:
            time.sleep(chance.uniform(*PAUSE))
            self.kill(chance.choice(sorted(self.alive, key=self.alive.__getitem__)))
            if self.is_over(os.WNOHANG):
                raise AssertionError(f"All work was over after {self.killed} of {self.kills} kills.")
        self.busy = time.monotonic() - self.started
        self.is_over(0)
        while self.alive:
            pid, _ = self.alive.popitem()
            os.kill(pid, signal.SIGTERM)
            assert not was_killed(os.waitpid(pid, 0)[1])

    def is_over(self, options: int) -> bool:
        """Tell whether the customer has got all. Raise if it got something else."""
        pid, status = os.waitpid(self.buyer, options)
        if pid:
            self.buyer = 0
            assert not was_killed(status)
        return pid != 0

    def start(self, number: int) -> None:
        self.alive[born(partial(worker, self.folder, number, self.killed))] = number

    def kill(self, pid: int) -> None:
        number = self.alive.pop(pid)
        os.kill(pid, signal.SIGKILL)
        assert was_killed(os.waitpid(pid, 0)[1]), "A worker stopped by itself."
        self.killed += 1
        self.start(number)

    def unfinished(self) -> Iterator[str]:
        """Yield a sentence for each task that is not done."""
        now = SystemClock().now()
        for task in SqliteServer(self.folder / "load.db").snapshot().tasks:
            if task.state is not TaskState.FULFILLED:
                left = "" if task.expires_at is None else f" for {(task.expires_at - now) / 1000:.1f} s more"
                yield f"the task {task.id} is {task.state} by {task.pid} at version {task.version}{left}"

    def wrongs(self) -> Iterator[str]:
        """Yield what is wrong with what is left; print a summary."""
        path = self.folder / "load.db"
        snapshot = SqliteServer(path).snapshot()
        yield from violated_state(snapshot)
        records = {promise.record.id: promise.record for promise in snapshot.promises}
        ledgers = sorted(self.folder.glob("*.ledger"))
        found = look_through(ledgers, records)
        yield from found.wrong
        yield from self.unfinished()
        for id, record in records.items():
            if record.state is PromiseState.PENDING and "resonate:timer" not in record.tags:
                yield f"{id} is pending"
        if left := sorted(file.name for file in self.folder.glob("*-alive-*")):
            yield f"there are left {', '.join(left)}"
        connection = sqlite3.connect(path)
        if (integrity := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            yield f"SQLite finds {integrity}"
        connection.close()
        again = sum(times - 1 for times in found.begun.values())
        sys.stdout.write(
            f"{self.killed} kills in {self.busy:.0f} s, all done after {time.monotonic() - self.started:.0f} s: "
            f"{len(records)} promises, {found.attempts} attempts at {len(snapshot.tasks)} tasks, {found.cut_off} cut "
            f"off, {found.begun.total()} runs of steps, {again} of them again, {found.answers} answers; "
        )


def main(arguments: Any) -> int:
    """Do all of it; print what was wrong, and a summary; return the exit code."""
    logging.getLogger("resonate").setLevel(logging.ERROR)  # that processes die is known here
    with tempfile.TemporaryDirectory() as name:
        plan = Plan(folder=Path(name), **vars(arguments))
        sys.stdout.write(f"seed {plan.seed}\n")
        plan.play()
        wrong = [*plan.wrongs()]
        sys.stdout.write(f"{len(wrong) or 'nothing'} wrong\n" + "".join(f"{sentence}\n" for sentence in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill workers at random under a load of workflows.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workflows", type=int, default=100)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of which worker dies when")
    sys.exit(main(parser.parse_args()))
