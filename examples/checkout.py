"""A checkout: charge, wait, send the receipt. The README explains the library with it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from resonate import Context, Exponential, Resonate

resonate = Resonate()  # in memory


def charge(order_id: str, cents: int) -> str:
    """A step: it does the work, and its result is recorded once."""
    print(f"charging {cents / 100:.2f} for order {order_id}")
    return f"receipt-{order_id}-{cents}"


async def send_receipt(order_id: str, receipt: str) -> None:
    """A step may be async; it is retried until it succeeds."""
    print(f"sending {receipt} for order {order_id}")


@resonate.register
async def checkout(ctx: Context, order_id: str, cents: int) -> str:
    """A workflow: it decides what to do, and is replayed after a crash."""
    receipt = await ctx.run(charge, order_id, cents)
    await ctx.sleep(timedelta(seconds=1))
    await ctx.options(retry=Exponential(max_retries=5)).run(send_receipt, order_id, receipt)
    return receipt


async def main() -> None:
    """Run the order twice: the second call attaches to the first, and charges nothing."""
    async with resonate:
        for _ in range(2):
            print("done:", await resonate.run("order-42", checkout, "42", 1999))


if __name__ == "__main__":
    asyncio.run(main())
