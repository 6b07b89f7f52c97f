"""What the client promises to a reader's type checker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from functions import (
    generator,
    info_step,
    listed,
    nothing,
    plain,
    plain_info_step,
    step,
    used,
    workflow,
)

from resonate import CauseKind, Context, Handle, Node, PromiseRecord, Resonate, ScheduleRecord, Tree, Why

resonate = Resonate()


@resonate.register
async def bare(ctx: Context, n: int) -> str:
    raise NotImplementedError


@resonate.register(name="configured", version=2, timeout=timedelta(hours=1))
def configured(n: int) -> str:
    raise NotImplementedError


@resonate.register_error
class Declined(Exception):
    code: int = 3


async def a_registered_class_keeps_its_type() -> None:
    assert_type(Declined().code, int)
    assert_type(resonate.register_error(KeyError), type[KeyError])


async def register_keeps_the_functions_type(ctx: Context) -> None:
    assert_type(await bare(ctx, n=1), str)
    assert_type(configured(1), str)
    assert_type(resonate.register(plain)("a", 1), bytes)


async def run_gives_the_functions_result() -> None:
    assert_type(await resonate.run("a", workflow, "o", 1), bytes)
    assert_type(await resonate.run("a", workflow, "o", cents=1), bytes)
    assert_type(await resonate.run("a", generator, "o"), bytes)
    assert_type(await resonate.run("a", step, "o", cents=1), bytes)
    assert_type(await resonate.run("a", plain, "o", 1), bytes)
    assert_type(await resonate.run("a", info_step, "o"), bytes)
    assert_type(await resonate.run("a", plain_info_step, "o"), bytes)
    assert_type(await resonate.run("a", nothing), None)
    assert_type(await resonate.run("a", listed, "o"), list[int])
    assert_type(await resonate.run("a", bare, 1), str)
    assert_type(await resonate.options(timeout=5).run("a", bare, 1), str)


async def a_name_gives_anything() -> None:
    assert_type(await resonate.run("a", "workflow", 1, x=2), Any)
    assert_type(await resonate.rpc("a", "workflow", 1, x=2), Any)
    used(assert_type(await resonate.begin_rpc("a", "workflow"), Handle[Any]))


async def rpc_gives_the_functions_result() -> None:
    assert_type(await resonate.rpc("a", workflow, "o", 1), bytes)
    assert_type(await resonate.rpc("a", generator, "o"), bytes)
    assert_type(await resonate.rpc("a", step, "o", cents=1), bytes)
    assert_type(await resonate.rpc("a", plain, "o", 1), bytes)
    assert_type(await resonate.rpc("a", info_step, "o"), bytes)
    assert_type(await resonate.rpc("a", plain_info_step, "o"), bytes)


async def a_handle_knows_what_it_gives() -> None:
    handle = await resonate.begin_run("a", workflow, "o")
    used(assert_type(handle, Handle[bytes]))
    assert_type(await handle, bytes)
    assert_type(await handle.result(), bytes)
    assert_type(await handle.done(), bool)
    assert_type(await handle.cancel(), bool)
    assert_type(handle.id, str)
    used(assert_type(await resonate.begin_run("a", generator, "o"), Handle[bytes]))
    used(assert_type(await resonate.begin_run("a", info_step, "o"), Handle[bytes]))
    used(assert_type(await resonate.begin_rpc("a", plain, "o"), Handle[bytes]))


async def get_reads_as_a_type() -> None:
    used(assert_type(resonate.get("a"), Handle[Any]))
    used(assert_type(resonate.get("a", returns=timedelta), Handle[timedelta]))
    assert_type(await resonate.get("a", returns=list[int]), list[int])


async def promises_and_schedules_are_records() -> None:
    assert_type(await resonate.promises.create("a"), PromiseRecord)
    assert_type(await resonate.promises.resolve("a", 1, type=int), PromiseRecord)
    assert_type(await resonate.promises.reject("a", ValueError()), PromiseRecord)
    assert_type([promise async for promise in resonate.promises.search()], list[PromiseRecord])
    assert_type(await resonate.schedule("s", "* * * * *", plain, "o", 1), ScheduleRecord)
    assert_type([schedule async for schedule in resonate.schedules.search()], list[ScheduleRecord])
    assert_type(await resonate.cancel("a"), bool)


async def wrong_calls_are_errors() -> None:
    await resonate.run("a", workflow)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # too few
    await resonate.run("a", workflow, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # another type
    await resonate.run("a", workflow, "o", 1, 2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # too many
    await resonate.run("a", step, "o", 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # by name only
    await resonate.run("a", plain, order=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # another type
    await resonate.rpc("a", info_step)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # too few
    await resonate.begin_run("a", generator, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # another type
    await resonate.run(workflow, "o")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # the id comes first
    resonate.options(timeout="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no duration


async def looked_at() -> None:
    assert_type(await resonate.tree("a"), Tree)
    assert_type((await resonate.tree("a")).root, Node)
    assert_type(await resonate.why("a"), Why)
    assert_type((await resonate.why("a")).cause.kind, CauseKind)


def a_name_that_is_not_there_is_noticed() -> None:
    import resonate as package
    import resonate.testing as for_tests

    _ = package.Resonte  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    _ = for_tests.Harnes  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    assert_type(package.errors.ResonateError("x"), package.ResonateError)
