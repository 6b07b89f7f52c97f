"""`python -m benchmarks.alone GROUP NAME SIZE...`: one round of one work in a process of its own, and its memory.

Also the thing to run under a profiler. The memory is that of the whole process at its peak, less what it had before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import resource
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import asdict, evolve

from benchmarks.harness import Round, Spent, Work, one_round, warm_up

_STATUS = Path("/proc/self/status")


def _of_status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def resident() -> int:
    """Return the bytes of memory that this process has now; its peak where the system does not tell."""
    return _of_status("VmRSS") if _STATUS.exists() else peak()


def peak() -> int:
    """Return the most bytes of memory that this process has had."""
    if _STATUS.exists():
        return _of_status("VmHWM")  # ru_maxrss would be the parent's at first
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


async def child(*words: str) -> dict[str, Any]:
    """Run `python -m` with these words, and return the JSON object that it prints last."""
    return await _python("-m", *words)


async def code(text: str) -> dict[str, Any]:
    """Run a program in a fresh interpreter, and return the JSON object that it prints last."""
    return await _python("-c", text)


async def _python(*words: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"python {' '.join(words)} failed: {err.decode()[-2_000:]}")
    figures: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return figures


async def peaks(group: str, works: Sequence[Work]) -> dict[str, int]:
    """Return by name what each work at its largest size adds to the memory of a process of its own."""
    found = {work.name: await child("benchmarks.alone", group, work.name, str(work.sizes[-1])) for work in works}
    return {name: int(figures["peak_bytes"]) for name, figures in found.items()}


def rounds_apart(group: str) -> Round:
    """Return what does a round of a work of this group in a process of its own, warmed up there."""

    async def apart(work: Work) -> list[Spent]:
        sizes = [str(size) for size in work.sizes]
        figures = await child("benchmarks.alone", group, work.name, *sizes, "--warmed-up")
        return [Spent(**one) for one in figures["spent"]]

    return apart


async def spent_on(work: Work, *, warmed_up: bool) -> list[Spent]:
    """Do one round."""
    if warmed_up:
        await warm_up(work)
    return await one_round(work)


def main(arguments: list[str] | None = None) -> None:
    """Do it, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alone", description=__doc__)
    parser.add_argument("group")
    parser.add_argument("name")
    parser.add_argument("sizes", nargs="+", type=int)
    parser.add_argument("--warmed-up", action="store_true", help="run it once before, at the smallest of these sizes")
    options = parser.parse_args(arguments)
    logging.getLogger("resonate").setLevel(logging.ERROR)
    works: list[Work] = import_module(f"benchmarks.{options.group}").works()
    work = next(evolve(one, sizes=options.sizes) for one in works if one.name == options.name)
    before = resident()
    spent = asyncio.run(spent_on(work, warmed_up=options.warmed_up))
    print(json.dumps({"spent": [asdict(one) for one in spent], "peak_bytes": peak() - before}))


if __name__ == "__main__":
    main()
