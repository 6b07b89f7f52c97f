"""What it costs to load the library, and what sleeping workflows take: each round in processes of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from benchmarks.alone import child, code
from benchmarks.harness import Spent, Work

ASLEEP = 10_000
IMPORTS = 5
"""Processes in one round."""

DEPENDENCIES = "import attrs, cattrs, orjson, asyncio"
LOADED = {
    DEPENDENCIES: DEPENDENCIES,
    "import resonate": "import resonate",
    "from resonate import Context, Resonate": "from resonate import Context, Resonate",
    "Resonate() made": "import resonate; resonate.Resonate()",
}

_TIMED = """
import json, time
started = time.perf_counter(), time.process_time()
{statement}
taken = time.perf_counter() - started[0], time.process_time() - started[1]
from benchmarks.alone import peak
print(json.dumps(dict(zip(("seconds", "cpu_seconds"), taken)) | {{"peak_bytes": peak()}}))
"""


def importing(statement: str) -> Callable[[int], Awaitable[Spent]]:
    """Time a statement in fresh interpreters, without their start."""

    async def run(size: int) -> Spent:
        done = [await code(_TIMED.format(statement=statement)) for _ in range(size)]
        return Spent(
            sum(one["seconds"] for one in done),
            sum(one["cpu_seconds"] for one in done),
            peak=max(int(one["peak_bytes"]) for one in done),
        )

    return run


def sleeping(backend: str, how: str) -> Callable[[int], Awaitable[Spent]]:
    """Weigh workflows that are asleep."""

    async def run(size: int) -> Spent:
        done = await child("benchmarks.asleep", backend, how, str(size))
        return Spent(done["seconds"], done["cpu_seconds"], peak=int(done["bytes"] * size))

    return run


def asleep(backend: str, how: str) -> str:
    return f"{backend}: workflows asleep, {how}"


def imports() -> list[Work]:
    """Return what is loaded, beside what it is made of."""
    return [
        Work(name, importing(statement), (IMPORTS,), "import", None if name == DEPENDENCIES else DEPENDENCIES)
        for name, statement in LOADED.items()
    ]


def works() -> list[Work]:
    """Return the sleepers: hot ones are kept in memory, of evicted ones only the store knows."""
    return [
        Work(asleep(backend, how), sleeping(backend, how), (ASLEEP // 10, ASLEEP), "workflow")
        for backend in ("memory", "sqlite")
        for how in ("hot", "evicted")
    ]
