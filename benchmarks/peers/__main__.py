"""`python -m benchmarks.peers`: the same small work on other libraries, in turns with ours, each in its own process.

In memory: the official Python SDK's in-process mode and the TypeScript SDK's local mode. In a SQLite file: DBOS. A peer
is installed beside this library, and left out with a reason where that fails. What counts is the ratio within a round:
the steps are empty, so that this is the price of recording one and of nothing else. Some sizes differ: where a peer's
cost grows with the square of the size, it is asked for less.
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
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.claims import Claim, judged, judgements, times
from benchmarks.harness import Spent, Work, machine, measure
from benchmarks.sqlite import folder
from tests.interop import peers as installed

HERE = Path(__file__).parent
SEQUENTIAL = "steps, one after another"
AT_ONCE = "workflows of 5 steps at once"
CALLS = "rpc, one after another"
WORDS = {SEQUENTIAL: "sequential", AT_ONCE: "at-once", CALLS: "calls"}
PATIENCE = 600
"""Seconds that one round of one work may take."""

Sizes = Mapping[str, tuple[int, ...]]
"""How many steps or calls, by work."""


@frozen(kw_only=True)
class Contender:
    """Somebody who does the work.

    Args:
        name: as the table shows it.
        command: what is run, but for its arguments.
        sizes: what it is asked for.
        in_file: whether it works in a file, or in memory.
        options: what is written behind the path of the file.
        wal: whether the file is given a write-ahead log before.
        ours: whether it may see this library's source.
    """

    name: str
    command: Sequence[str]
    sizes: Sizes
    in_file: bool = False
    options: str = ""
    wal: bool = False
    ours: bool = False


OWN_COMMAND = (sys.executable, "-m", "benchmarks.peers.own_app")
IN_MEMORY = Contender(
    name="resonate",
    command=OWN_COMMAND,
    sizes={
        SEQUENTIAL: (125, 250, 500, 1_000, 10_000),
        AT_ONCE: (1_000, 5_000, 10_000),
        CALLS: (50, 100, 200, 400, 1_600),
    },
    ours=True,
)
OFFICIAL_SIZES: Sizes = {SEQUENTIAL: (125, 250, 500, 1_000), AT_ONCE: (1_000, 5_000), CALLS: (50, 100, 200)}
TYPESCRIPT_SIZES: Sizes = {
    SEQUENTIAL: (125, 250, 500, 1_000, 10_000),
    AT_ONCE: (1_000, 5_000, 10_000),
    CALLS: (50, 100, 200, 400),
}
FILE_SIZES: Sizes = {SEQUENTIAL: (200, 400, 1_000), AT_ONCE: (250,)}
FULL = Contender(name="resonate, full", command=OWN_COMMAND, sizes=FILE_SIZES, in_file=True, ours=True)
NORMAL = Contender(
    name="resonate, normal",
    command=OWN_COMMAND,
    sizes=FILE_SIZES,
    in_file=True,
    options="?durability=normal",
    ours=True,
)
OFFICIAL = "official Python SDK"
TYPESCRIPT = "TypeScript SDK"


# ---------------------------------------------------------------- who is there


def official(_venvs: Path) -> Sequence[Contender]:
    """Return the official Python SDK in its in-process mode."""
    if why := installed.no_official():
        print(f"The official Python SDK is left out: {why}")
        return ()
    command = (str(installed.OFFICIAL), "-E", str(HERE / "official_app.py"))
    return (Contender(name=OFFICIAL, command=command, sizes=OFFICIAL_SIZES),)


def typescript(_venvs: Path) -> Sequence[Contender]:
    """Return the TypeScript SDK in its local mode."""
    if why := installed.no_node():
        print(f"The TypeScript SDK is left out: {why}")
        return ()
    command = ("node", str(HERE / "typescript_app.mjs"), str(installed.PACKAGES))
    return (Contender(name=TYPESCRIPT, command=command, sizes=TYPESCRIPT_SIZES),)


def dbos(venvs: Path) -> Sequence[Contender]:
    """Return DBOS as it comes, and with the write-ahead log that we have, which its file keeps once it has it."""
    venv = venvs / "dbos"
    why = install("dbos", venv)
    if why is not None:
        print(f"DBOS is left out: it can't be installed. {why}")
        return ()
    python = str(venv / "bin" / "python")
    shown = subprocess.run([python, "-m", "pip", "show", "dbos"], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    version = next(line.split()[1] for line in shown.stdout.splitlines() if line.startswith("Version:"))
    command = (python, str(HERE / "dbos_app.py"))
    plain = Contender(name=f"DBOS {version}", command=command, sizes=FILE_SIZES, in_file=True)
    return (
        plain,
        Contender(name=f"{plain.name}, WAL", command=command, sizes=FILE_SIZES, in_file=True, wal=True),
    )


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


Peer = Callable[[Path], Sequence[Contender]]
GROUPS: dict[str, tuple[Sequence[Contender], Sequence[Peer]]] = {
    "memory": ((IN_MEMORY,), (official, typescript)),
    "file": ((FULL, NORMAL), (dbos,)),
}
"""Ours, the first of which the others are divided by, and makers of those that could be installed."""


# ---------------------------------------------------------------- rounds


def _without_ours() -> dict[str, str]:
    """Return the environment of a peer: a path to our source is not for it, nor the address of a server."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONPATH" and "RESONATE" not in name}


async def _round(contender: Contender, work: str, size: int) -> Spent:
    with folder() as where:
        file = where / "bench.db"
        if contender.wal:
            with closing(sqlite3.connect(file)) as db:
                db.execute("PRAGMA journal_mode = WAL")
        process = await asyncio.create_subprocess_exec(
            *contender.command,
            f"{file}{contender.options}" if contender.in_file else "memory",
            work,
            str(size),
            env=None if contender.ours else _without_ours(),
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
    seconds, cpu, peak = map(float, out.decode().split()[-3:])
    return Spent(seconds, cpu, peak=int(peak))


def name(work: str, contender: str) -> str:
    return f"{work}: {contender}"


def works(contenders: Sequence[Contender]) -> list[Work]:
    """Return each work for each contender, beside the first."""
    first = contenders[0]
    return [
        Work(
            name(work, one.name),
            partial(_round, one, word),
            one.sizes[work],
            "call" if work == CALLS else "step",
            beside=None if one is first else name(work, first.name),
        )
        for work, word in WORDS.items()
        for one in contenders
        if work in one.sizes
    ]


CLAIMS = (
    Claim(
        says="1,000 steps one after another, against the official Python SDK (times as fast)",
        group="memory",
        figure=times(name(SEQUENTIAL, OFFICIAL), 1_000),
        least=100,
    ),
    Claim(
        says="10,000 steps one after another, against the TypeScript SDK's local mode (times as fast)",
        group="memory",
        figure=times(name(SEQUENTIAL, TYPESCRIPT), 10_000),
        least=1,
    ),
    Claim(
        says="1,000 workflows of 5 steps at once, against the official Python SDK (times as fast)",
        group="memory",
        figure=times(name(AT_ONCE, OFFICIAL), 5_000),
        least=1,
    ),
)


async def run(options: argparse.Namespace) -> None:
    """Measure group by group."""
    figures: dict[str, Any] = {"of": "peers", **machine()}
    measured = {}
    for group in options.only or GROUPS:
        ours, peers = GROUPS[group]
        contenders = [*ours, *(one for peer in peers for one in peer(options.venvs.resolve()))]
        measured[group] = await measure(works(contenders), rounds=options.rounds)
        figures[group] = measured[group].as_json()
        print(f"{measured[group].table()}\n", flush=True)
    figures["claims"] = judgements(measured, CLAIMS)
    print(judged(figures["claims"]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("only", nargs="*", choices=[[], *GROUPS], help="memory, file (both)")
    parser.add_argument("--venvs", type=Path, default=Path(".venv-peers"), help="where peers are installed")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds the median is taken of (3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(run(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
