"""`python -m benchmarks.peers`: the same small work on other libraries, in turns with ours, each in its own process.

A peer is installed into a venv of its own, and left out with a reason where that fails. What counts is the ratio within
a round: the steps are empty, so that this is the price of recording one and of nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from attrs import frozen

from benchmarks.harness import Spent, Work, measure
from benchmarks.sqlite import folder

HERE = Path(__file__).parent
WORKS: dict[str, tuple[str, tuple[int, ...]]] = {
    "steps, one after another": ("sequential", (200, 1_000)),
    "50 workflows of 5 steps at once": ("at-once", (250,)),
}
PATIENCE = 600
"""Seconds that one round of one work may take."""


@frozen
class Contender:
    """Somebody who does the work.

    Args:
        name: as the table shows it.
        command: what is run, but for its arguments.
        options: what is written behind the path of the file.
        wal: whether the file is given a write-ahead log before.
    """

    name: str
    command: Sequence[str]
    options: str = ""
    wal: bool = False


OURS = Contender("resonate, full", (sys.executable, "-m", "benchmarks.peers.own_app"))
OURS_NORMAL = Contender("resonate, normal", OURS.command, "?durability=normal")


def install(requirement: str, venv: Path) -> str | None:
    """Install a package into a venv; return why that is not possible, or None."""
    python = venv / "bin" / "python"
    made = [] if python.exists() else [[sys.executable, "-m", "venv", str(venv)]]
    for command in [
        *made,
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
    ]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        if done.returncode:
            return (done.stderr or done.stdout).strip().splitlines()[-1]
    return None


def dbos(venvs: Path) -> Sequence[Contender]:
    """Return DBOS as it comes, and with the write-ahead log that we have, which its file keeps once it has it."""
    venv = venvs / "dbos"
    why = install("dbos", venv)
    if why is not None:
        print(f"DBOS is left out: it can't be installed. {why}")
        return ()
    python = str(venv / "bin" / "python")
    shown = subprocess.run([python, "-m", "pip", "show", "dbos"], capture_output=True, text=True, check=True)  # noqa: S603 - as above
    version = next(line.split()[1] for line in shown.stdout.splitlines() if line.startswith("Version:"))
    command = (python, str(HERE / "dbos_app.py"))
    return (Contender(f"DBOS {version}", command), Contender(f"DBOS {version}, WAL", command, wal=True))


PEERS: tuple[Callable[[Path], Sequence[Contender]], ...] = (dbos,)
"""Each returns the contenders that it could install. Another peer is another function here, and its app beside."""


def _without_ours() -> dict[str, str]:
    """Return the environment of a peer: a path to our source is not for it."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}


async def _round(contender: Contender, work: str, size: int) -> Spent:
    with folder() as where:
        file = where / "bench.db"
        if contender.wal:
            with closing(sqlite3.connect(file)) as db:
                db.execute("PRAGMA journal_mode = WAL")
        process = await asyncio.create_subprocess_exec(
            *contender.command,
            f"{file}{contender.options}",
            work,
            str(size),
            env=None if contender.command is OURS.command else _without_ours(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        except TimeoutError:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"{contender.name} failed at {work}: {err.decode()[-2_000:]}")
    seconds, cpu = map(float, out.decode().split()[-2:])
    return Spent(seconds, cpu)


def works(contenders: Sequence[Contender]) -> list[Work]:
    """Return each work for each contender, beside ours."""
    return [
        Work(
            f"{name}: {one.name}",
            partial(_round, one, word),
            sizes,
            beside=None if one is OURS else f"{name}: {OURS.name}",
        )
        for name, (word, sizes) in WORKS.items()
        for one in contenders
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--venvs", type=Path, default=Path(".venv-peers"), help="where peers are installed")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds the median is taken of (3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    peers = [one for peer in PEERS for one in peer(options.venvs.resolve())]
    costs = asyncio.run(measure(works([OURS, OURS_NORMAL, *peers]), rounds=options.rounds))
    print(costs.table())
    if options.json:
        options.json.write_text(json.dumps(costs.as_json(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
