"""What the blocking client promises to a reader's type checker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from functions import generator, info_step, nothing, plain, plain_info_step, step, workflow

from resonate import Context, PromiseRecord, ScheduleRecord
from resonate.sync import Handle, Resonate

resonate = Resonate()


@resonate.register_error
class Declined(Exception):
    code: int = 3


def a_registered_class_keeps_its_type() -> None:
    assert_type(Declined().code, int)


@resonate.register
async def bare(ctx: Context, n: int) -> str:
    raise NotImplementedError


@resonate.register(name="configured", version=2)
def configured(n: int) -> str:
    raise NotImplementedError


def calls_give_the_functions_result() -> None:
    assert_type(resonate.run("a", workflow, "o", 1), bytes)
    assert_type(resonate.run("a", generator, "o"), bytes)
    assert_type(resonate.run("a", step, "o", cents=1), bytes)
    assert_type(resonate.run("a", plain, "o", 1), bytes)
    assert_type(resonate.rpc("a", info_step, "o"), bytes)
    assert_type(resonate.rpc("a", plain_info_step, "o"), bytes)
    assert_type(resonate.run("a", nothing), None)
    assert_type(resonate.run("a", bare, 1), str)
    assert_type(configured(1), str)
    assert_type(resonate.rpc("a", "workflow", 1, x=2), Any)
    assert_type(resonate.options(timeout=5).run("a", bare, 1), str)


def a_handle_knows_what_it_gives() -> None:
    handle = resonate.begin_run("a", workflow, "o")
    assert_type(handle, Handle[bytes])
    assert_type(handle.result(timeout=timedelta(minutes=1)), bytes)
    assert_type(handle.done(), bool)
    assert_type(resonate.begin_rpc("a", plain, "o"), Handle[bytes])
    assert_type(resonate.get("a"), Handle[Any])
    assert_type(resonate.get("a", returns=timedelta).result(), timedelta)


def promises_and_schedules_are_records() -> None:
    assert_type(resonate.promises.create("a"), PromiseRecord)
    assert_type(list(resonate.promises.search()), list[PromiseRecord])
    assert_type(list(resonate.schedules.search()), list[ScheduleRecord])
    assert_type(resonate.schedule("s", "* * * * *", plain, "o", 1), ScheduleRecord)


def wrong_calls_are_errors() -> None:
    resonate.run("a", workflow)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # too few
    resonate.begin_run("a", generator, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # another type
