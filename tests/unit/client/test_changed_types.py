"""What a deploy with other types does to an execution that the code before it has begun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from resonate import Context
from resonate.errors import DecodingError, UsageError
from resonate.testing import Harness


@dataclass
class Order:
    sku: str


@dataclass
class Gift:
    sku: str
    wrapped: bool


async def charge(sku: str) -> str:
    return f"paid {sku}"


async def before(ctx: Context, order: Order) -> str:
    paid = await ctx.run(charge, order.sku)
    await ctx.sleep(60)
    return paid


async def after(ctx: Context, order: Gift) -> str:
    return f"{order.sku} {order.wrapped}"


async def with_more(ctx: Context, order: Order, express: bool) -> str:
    return f"{order.sku} {express}"


async def deployed(harness: Harness, pid: str, workflow: Any) -> Any:
    client = harness.client(pid=pid)
    client.register(workflow, name="checkout")
    client.register(charge)
    return await harness.open(client)


@pytest.mark.parametrize("newer", [after, with_more], ids=["field", "parameter"])
async def test_an_execution_that_was_begun_is_kept_until_its_arguments_fit_again(newer: Any) -> None:
    async with Harness(continuations=0) as harness:
        one = await deployed(harness, "one", before)
        await one.begin_run("order", before, Order("b-12"))
        await harness.clock.advance(timedelta(seconds=1))
        await harness.crash(one)
        two = await deployed(harness, "two", newer)
        await harness.clock.advance(timedelta(minutes=10))
        assert not await two.get("order").done()
        await harness.crash(two)
        three = await deployed(harness, "three", before)
        assert await three.get("order", returns=str).result() == "paid b-12"


@pytest.mark.parametrize(
    ("newer", "error"), [(after, DecodingError), (with_more, UsageError)], ids=["field", "parameter"]
)
async def test_a_call_that_nobody_has_begun_is_answered(newer: Any, error: type[Exception]) -> None:
    async with Harness(continuations=0) as harness:
        await deployed(harness, "one", newer)
        caller = await harness.open(harness.client(pid="two", group="callers"))
        with pytest.raises(error):
            await caller.options(target="default").rpc("order", "checkout", {"sku": "b-12"})
