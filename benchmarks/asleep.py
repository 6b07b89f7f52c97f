"""`python -m benchmarks.asleep BACKEND hot|evicted COUNT`: the memory that workflows take while they are asleep.

The backend is `memory` or `sqlite`. Memory is what the process has afterwards, less what it had with a tenth of them,
by the system's count. What the memory store keeps of them is in it, since that lives in the same process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from contextlib import ExitStack
from datetime import timedelta

from benchmarks.alone import resident
from benchmarks.harness import Spending
from benchmarks.sqlite import folder
from resonate import Context, Resonate

BATCH = 100


async def nap(ctx: Context, number: int) -> int:
    await ctx.sleep(timedelta(days=1))
    return number


async def main(backend: str, how: str, count: int) -> None:
    """Put workflows to sleep, and weigh them."""
    with ExitStack() as stack:
        url = "memory://" if backend == "memory" else f"sqlite:///{stack.enter_context(folder()) / 'bench.db'}"
        kept = 2 * count if how == "hot" else 0
        async with Resonate(url, continuations=kept, grace=0) as client:
            client.register(nap)

            async def begin(first: int, last: int) -> None:
                for some in range(first, last, BATCH):  # what all of them need at once while they start is not weighed
                    await asyncio.gather(*[client.begin_run(f"nap-{n}", nap, n) for n in range(some, some + BATCH)])
                while (await client.health()).executions:  # noqa: ASYNC110 - a client has no event for it
                    await asyncio.sleep(0.05)
                gc.collect()

            few = count // 10
            await begin(0, few)
            before, spending = resident(), Spending()
            await begin(few, few + count)
            spent = spending.spent()
            each = (resident() - before) / count
            figures = {"bytes": each, "seconds": spent.seconds, "cpu_seconds": spent.cpu}
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    logging.getLogger("resonate").setLevel(logging.ERROR)
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
