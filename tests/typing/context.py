"""What a Context promises to a reader's type checker."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any, assert_type

from functions import (
    generator,
    info_step,
    nothing,
    plain,
    plain_info_step,
    step,
    used,
    workflow,
)

from resonate import Context, Durable, Info


class Database:
    """Something that functions depend on."""


async def run_gives_what_can_be_awaited(ctx: Context) -> None:
    used(assert_type(ctx.run(workflow, "o", 1), Durable[bytes]))
    assert_type(ctx.run(workflow, "o", 1).id, str)
    assert_type(await ctx.run(workflow, "o", cents=1), bytes)
    assert_type(await ctx.run(generator, "o"), bytes)
    assert_type(await ctx.run(step, "o", cents=1), bytes)
    assert_type(await ctx.run(plain, "o", 1), bytes)
    assert_type(await ctx.run(info_step, "o"), bytes)
    assert_type(await ctx.run(plain_info_step, "o"), bytes)
    assert_type(await ctx.run(nothing), None)
    assert_type(await ctx.run("workflow", 1, x=2), Any)
    assert_type(await ctx.options(timeout=5).run(step, "o"), bytes)
    assert_type(await ctx.lfc(step, "o"), bytes)


async def rpc_gives_what_can_be_awaited(ctx: Context) -> None:
    used(assert_type(ctx.rpc(workflow, "o", 1), Durable[bytes]))
    assert_type(await ctx.rpc(generator, "o"), bytes)
    assert_type(await ctx.rpc(step, "o", cents=1), bytes)
    assert_type(await ctx.rpc(plain, "o", 1), bytes)
    assert_type(await ctx.rpc(info_step, "o"), bytes)
    assert_type(await ctx.rpc("workflow", 1, x=2), Any)
    assert_type(await ctx.rfc(step, "o"), bytes)


async def a_handle_is_awaited_twice(ctx: Context) -> None:
    handle = await ctx.begin_run(step, "o")
    used(assert_type(handle, Durable[bytes]))
    assert_type(await handle, bytes)
    assert_type(await (await ctx.begin_rpc(workflow, "o")), bytes)
    assert_type(await (await ctx.begin_run(generator, "o")), bytes)
    assert_type(await (await ctx.begin_rpc("workflow", "o")), Any)
    assert_type(await (await ctx.lfi(plain, "o")), bytes)
    assert_type(await (await ctx.rfi(plain, "o")), bytes)


async def waiting(ctx: Context) -> None:
    assert_type(await ctx.sleep(timedelta(days=1)), None)
    assert_type(await ctx.sleep(0.5), None)
    assert_type(await ctx.detached(workflow, "o"), str)
    promise = await ctx.promise(returns=timedelta, timeout=5)
    used(assert_type(promise, Durable[timedelta]))
    assert_type(await promise, timedelta)
    assert_type(await (await ctx.promise(returns=list[int])), list[int])
    assert_type(await (await ctx.promise()), Any)


async def race_gives_what_any_of_them_gives(ctx: Context) -> None:
    assert_type(await ctx.race(ctx.run(step, "o")), bytes)
    assert_type(await ctx.race(ctx.run(step, "o"), ctx.run(plain, "p")), bytes)
    assert_type(await ctx.race(ctx.run(step, "o"), ctx.sleep(1)), bytes | None)
    assert_type(await ctx.race(ctx.run(step, "o"), ctx.sleep(1), ctx.now()), bytes | None | datetime)


async def by_order(order: str) -> int:
    raise NotImplementedError


def plain_by_order(order: str) -> int:
    raise NotImplementedError


async def workflow_by_order(ctx: Context, order: str) -> int:
    raise NotImplementedError


async def info_by_order(info: Info, order: str) -> int:
    raise NotImplementedError


async def map_gives_a_list(ctx: Context) -> None:
    assert_type(await ctx.map(by_order, ["a"], limit=5), list[int])
    assert_type(await ctx.map(plain_by_order, ["a"]), list[int])
    assert_type(await ctx.map(workflow_by_order, ["a"]), list[int])
    assert_type(await ctx.map(info_by_order, ["a"]), list[int])
    assert_type(await ctx.map("by_order", ["a"]), list[Any])


async def pythons_own_constructs_know_it_too(ctx: Context) -> None:
    assert_type(await asyncio.gather(ctx.run(step, "o"), ctx.sleep(1)), tuple[bytes, None])


async def facts(ctx: Context, info: Info) -> None:
    assert_type(await ctx.now(), datetime)
    assert_type(ctx.uuid4(), uuid.UUID)
    assert_type(ctx.info, Info)
    assert_type(ctx.id, str)
    assert_type(ctx.get_dependency(Database), Database)
    assert_type(ctx.get_dependency("database"), Any)
    assert_type(info.get_dependency(Database), Database)
    assert_type(info.get_dependency("database"), Any)
    assert_type(info.deadline, datetime)
    assert_type(info.attempt, int)


async def wrong_calls_are_errors(ctx: Context) -> None:
    await ctx.run(workflow)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # too few
    await ctx.run(step, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # another type
    await ctx.run(plain, "o", 1, 2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # too many
    await ctx.rpc(generator, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # another type
    await ctx.begin_run(info_step)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # too few
    await ctx.map(by_order, [1])  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]  # another type
    await ctx.sleep("long")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no duration
