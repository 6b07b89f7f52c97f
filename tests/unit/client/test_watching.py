"""What is open beside a step that takes long is listened to once, however often the execution goes on."""

from __future__ import annotations

from resonate import Context
from resonate.core.protocol.requests import PromiseRegisterListener
from resonate.testing import Harness
from tests.unit.dialects.conftest import Meter

OPEN = 30


async def test_what_is_open_is_listened_to_once():
    async with Harness() as harness:
        meter = Meter(harness.server)
        client = harness.client(backend=meter)

        async def slow() -> None:
            await harness.clock.sleep_until(harness.clock.now() + 5_000)

        async def flow(ctx: Context) -> list[int]:
            promises = [await ctx.promise(returns=int) for _ in range(OPEN)]
            results: list[int] = []
            for promise in promises:
                results.append(await promise)
                if len(results) <= 4:
                    await ctx.run(slow)
            return results

        client.register(flow)
        await harness.open(client)
        handle = await client.begin_run("a", flow)
        for number in range(4):
            await harness.clock.advance(60_000)
            await client.promises.resolve(f"a:{number + 1}", number)
        await harness.clock.advance(60_000)
        for number in range(4, OPEN):
            await client.promises.resolve(f"a:{number + 1}", number)
        assert await handle.result() == list(range(OPEN))
        asked = [one.awaited for one in meter.requests if isinstance(one, PromiseRegisterListener)]
        assert len(asked) >= OPEN - 5
        assert len(asked) == len(set(asked))
