"""`python -m benchmarks.alone GROUP NAME SIZE`: one round of one work in a process of its own, and the memory it took.

Also the thing to run under a profiler. The memory is that of the whole process at its peak, less what it had before.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.harness import Work

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


async def child(*words: str) -> dict[str, float]:
    """Run `python -m` with these words, and return the JSON object that it prints last."""
    return await _python("-m", *words)


async def code(text: str) -> dict[str, float]:
    """Run a program in a fresh interpreter, and return the JSON object that it prints last."""
    return await _python("-c", text)


async def _python(*words: str) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"python {' '.join(words)} failed: {err.decode()[-2_000:]}")
    figures: dict[str, float] = json.loads(out.decode().splitlines()[-1])
    return figures


async def peaks(group: str, works: Sequence[Work]) -> dict[str, int]:
    """Return by name what each work at its largest size adds to the memory of a process of its own."""
    found = {work.name: await child("benchmarks.alone", group, work.name, str(work.sizes[-1])) for work in works}
    return {name: int(figures["peak_bytes"]) for name, figures in found.items()}


def main(group: str, name: str, size: int) -> None:
    """Do it, and print it."""
    logging.getLogger("resonate").setLevel(logging.ERROR)
    work = next(one for one in import_module(f"benchmarks.{group}").works() if one.name == name)
    before = resident()
    spent = asyncio.run(work.run(size))
    print(json.dumps({"seconds": spent.seconds, "cpu_seconds": spent.cpu, "peak_bytes": peak() - before}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
