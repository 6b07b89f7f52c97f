"""A step or workflow that raises what is no Exception fails; it neither hangs nor ends the worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from resonate import ApplicationError, Context
from resonate.testing.harness import Harness

SOON = 60


class Abort(BaseException):
    """What some libraries use to get past `except Exception`."""


def aborts() -> None:
    raise Abort("now")


async def aborts_async() -> None:
    raise Abort("now")


def exits() -> None:
    sys.exit("now")


async def exits_async() -> None:
    sys.exit("now")


@pytest.mark.parametrize("step", [aborts, aborts_async, exits, exits_async])
async def test_such_a_step_fails_at_once(step: Callable[[], Any]) -> None:
    async def calls(ctx: Context) -> str:
        try:
            await ctx.run(step)
        except ApplicationError as error:
            return str(error)
        return "returned"

    async with Harness() as harness:
        client = harness.client()
        client.register(calls)
        await harness.open(client)
        assert "now" in await asyncio.wait_for(client.run("o", calls), SOON)


async def test_a_workflow_that_exits_is_rejected() -> None:
    async def exits_itself(ctx: Context) -> None:
        await ctx.sleep(1)
        sys.exit("now")

    async with Harness() as harness:
        client = harness.client()
        client.register(exits_itself)
        await harness.open(client)
        with pytest.raises(ApplicationError, match="now"):
            await asyncio.wait_for(client.run("o", exits_itself), SOON)
