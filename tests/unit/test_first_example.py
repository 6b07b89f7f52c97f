"""The example that the project is explained with, to the letter; only its store keeps virtual time."""

from __future__ import annotations

from datetime import timedelta

from resonate import Context, Exponential, MemoryServer, Resonate
from resonate.testing import VirtualClock

sent: list[tuple[str, str]] = []


def charge(order_id: str, cents: int) -> str:
    return f"receipt {order_id} {cents}"


async def send_receipt(order_id: str, receipt: str) -> None:
    sent.append((order_id, receipt))


async def test_the_first_example_runs_as_written():
    resonate = Resonate(MemoryServer(VirtualClock()))

    @resonate.register
    async def checkout(ctx: Context, order_id: str, cents: int) -> str:
        receipt = await ctx.run(charge, order_id, cents)
        await ctx.sleep(timedelta(days=1))
        await ctx.options(retry=Exponential(max_retries=5)).run(send_receipt, order_id, receipt)
        return receipt

    async with resonate:
        receipt = await resonate.run("order-42", checkout, "42", 1999)

    assert receipt == "receipt 42 1999"
    assert sent == [("42", receipt)]
