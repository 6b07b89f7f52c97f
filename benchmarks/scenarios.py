"""What is timed. The first bench is the bare language; the others are read against it."""

from __future__ import annotations

import asyncio

from benchmarks.harness import Bench, Scenario

TASKS = 10_000


async def bare_tasks() -> None:
    async def body(number: int) -> int:
        return number

    total = 0
    for number in range(TASKS):
        total += await asyncio.create_task(body(number))
    assert total == TASKS * (TASKS - 1) // 2


SCENARIOS: list[Scenario] = [
    Bench("bare asyncio task", bare_tasks, TASKS, "task"),
]
