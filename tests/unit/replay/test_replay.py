"""Recordings of executions, replayed through the same code and through other code."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import frozen

from resonate import Context, DecodingError, NotFound, Recording, Resonate, UsageError
from resonate.sync import Resonate as Blocking
from resonate.testing import NO_SEARCHES, Harness
from resonate.testing.replaying import Agreement, Verdict, replay, replay_folder


@frozen
class Order:
    id: str
    cents: int


@frozen
class Bill:
    total: int


def charge(order: Order, retries: int = 0) -> str:
    return f"receipt for {order.id}: {order.cents}"


def send(receipt: str) -> None: ...


def charge_nothing(n: int) -> int:
    return n


async def checkout(ctx: Context, order: Order) -> str:
    receipt = await ctx.run(charge, order, retries=1)
    await ctx.sleep(timedelta(days=1))
    await ctx.run(send, receipt)
    return receipt


def named(name: str):
    """Give a function the name of another, as today's code has it."""

    def rename(fn):
        fn.__name__ = name
        return fn

    return rename


async def recorded(
    *functions: Callable[..., object], until: timedelta | None = None, call: tuple[object, ...] = (Order("o", 5),)
) -> Recording:
    """Run the first function to its end, or until a while has passed, and record it."""
    async with Harness() as harness:
        client = await harness.open(harness.client())
        for function in functions:
            client.register(function)
        handle = await client.begin_run("x", functions[0], *call)
        if until is None:
            with contextlib.suppress(Exception):
                await handle.result()
        else:
            await harness.clock.advance(until)
        return await client.record("x")


# ---------------------------------------------------------------- recording


async def test_a_recording_is_one_json_file_and_comes_back_equal(tmp_path):
    one = await recorded(checkout)
    path = one.save(tmp_path / "deep" / "x.json")
    assert Recording.load(path) == one
    wire = json.loads(path.read_text())
    assert list(wire) == [
        "format", "execution", "function", "version", "recorded_at", "separator", "promise", "history",
    ]  # fmt: skip
    assert (wire["format"], wire["execution"], wire["function"], wire["version"]) == (1, "x", "checkout", 1)
    assert [record["id"] for record in wire["history"]] == ["x:1", "x:2", "x:3"]


async def test_a_folder_that_is_not_there_yet_is_made(tmp_path):
    one = await recorded(checkout)
    assert one.save(f"{tmp_path}/new/") == tmp_path / "new" / "x.json"
    assert Recording.load(tmp_path / "new" / "x.json") == one


async def test_the_same_execution_gives_the_same_bytes():
    async def once() -> str:
        async with Harness(pid="w") as harness:
            client = await harness.open(harness.client())
            client.register(checkout)
            await client.run("x", checkout, Order("o", 5))
            return (await client.record("x")).to_json()

    assert await once() == await once()


async def test_values_stand_in_it_as_they_are_stored():
    wire = json.loads((await recorded(checkout)).to_json())
    assert json.loads(base64.b64decode(wire["history"][0]["param"]["data"]))["args"] == [{"id": "o", "cents": 5}]


async def test_recording_touches_nothing():
    async with Harness() as harness:
        client = await harness.open(harness.client())
        client.register(checkout)
        await client.begin_run("x", checkout, Order("o", 5))
        await harness.clock.advance(1)
        before = harness.snapshot()
        await client.record("x")
        assert harness.snapshot() == before


async def test_what_another_execution_of_the_same_origin_asked_for_is_not_part_of_it():
    async def child(ctx: Context) -> int:
        return await ctx.run(abs, -3)

    async def parent(ctx: Context) -> int:
        return await ctx.rpc(child) + await ctx.run(child)

    one = await recorded(parent, child, call=())
    assert [record.id for record in one.history] == ["x:1", "x:2", "x:2.1"]
    assert replay(one, [parent, child]).agreement is Agreement.WHOLE


async def test_a_child_execution_can_be_recorded_by_itself():
    async def child(ctx: Context) -> int:
        return await ctx.run(abs, -3)

    async def parent(ctx: Context) -> int:
        return await ctx.rpc(child)

    async with Harness() as harness:
        client = await harness.open(harness.client())
        for function in (parent, child):
            client.register(function)
        await client.run("x", parent)
        one = await client.record("x:1")
    assert (one.function, [record.id for record in one.history]) == ("child@1", ["x:1.1"])
    assert replay(one, [child]).agreement is Agreement.WHOLE


async def test_an_execution_of_many_pages_is_recorded_whole():
    async def wide(ctx: Context) -> int:
        return sum(await ctx.map(charge_nothing, range(1_100)))

    one = await recorded(wide, call=())
    assert len(one.history) >= 1_100
    assert replay(one, wide).agreement is Agreement.WHOLE


async def test_what_is_not_there_cant_be_recorded():
    async with Harness() as harness:
        client = await harness.open(harness.client())
        with pytest.raises(NotFound, match="no execution nobody"):
            await client.record("nobody")


async def test_a_server_without_searches_cant_be_asked():
    async with Harness(dialect=NO_SEARCHES) as harness:
        client = await harness.open(harness.client())
        client.register(checkout)
        await client.run("x", checkout, Order("o", 5))
        with pytest.raises(UsageError, match="serves no searches"):
            await client.record("x")


def test_the_blocking_client_records_too():
    async def flow(ctx: Context) -> int:
        return await ctx.run(abs, -1)

    with Blocking() as client:
        client.register(flow)
        client.run("x", flow)
        assert replay(client.record("x"), client).agreement is Agreement.WHOLE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is JSON"),
        ("[]", "is a JSON object"),
        ("{}", "format None"),
        ('{"format": 2}', "format 2; this version of the library reads 1"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "recorded_at": 1, "separator": ":", "promise": {"id": 1}, "history": []}', "damaged"),
        ('{"format": 1, "recorded_at": 1, "separator": ":", "promise": [], "history": 3}', "damaged"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DecodingError, match=said) as refused:
        replay(path, [])
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("member", ["recorded_at", "separator", "history"])
async def test_a_recording_that_lost_something_is_refused(member):
    wire = json.loads((await recorded(checkout)).to_json())
    wire[member] = {"odd": 1}
    with pytest.raises(DecodingError, match="damaged"):
        Recording.from_json(json.dumps(wire))


# ---------------------------------------------------------------- the same code


async def test_the_same_code_agrees_to_the_end():
    verdict = replay(await recorded(checkout), checkout)
    assert (verdict.agreement, verdict.step, verdict.of) == (Agreement.WHOLE, 3, 3)
    assert str(verdict) == "x (checkout@1) agrees to the end: 3 things asked for."
    verdict.check()


async def test_what_is_still_under_way_agrees_as_far_as_it_goes():
    verdict = replay(await recorded(checkout, until=timedelta(hours=1)), checkout)
    assert (verdict.agreement, verdict.step) == (Agreement.SO_FAR, 2)
    assert "It waits for x:2." in str(verdict)


async def test_no_step_runs_and_nothing_is_logged(caplog):
    ran: list[int] = []

    def step() -> None:
        ran.append(1)

    async def flow(ctx: Context) -> None:
        ctx.logger.warning("began")
        await ctx.run(step)

    one = await recorded(flow, call=())
    assert ran == [1]
    caplog.clear()
    assert replay(one, flow).agrees
    assert (ran, caplog.records) == ([1], [])


async def test_failures_agree_by_their_type_and_text():
    def fails() -> None:
        raise ValueError("no")

    async def flow(ctx: Context) -> None:
        await ctx.run(fails)

    one = await recorded(flow, call=())
    assert one.promise.state == "rejected"
    assert replay(one, flow).agreement is Agreement.WHOLE


async def test_one_that_was_canceled_from_outside_agrees_as_far_as_it_went():
    async with Harness() as harness:
        client = await harness.open(harness.client())
        client.register(checkout)
        await client.begin_run("x", checkout, Order("o", 5))
        await harness.clock.advance(timedelta(hours=1))
        await client.cancel("x")
        one = await client.record("x")
    assert one.promise.state == "rejected_canceled"
    assert replay(one, checkout).agreement is Agreement.SO_FAR


async def test_detached_executions_are_nobodys_history():
    async def other(ctx: Context) -> None: ...

    async def flow(ctx: Context) -> str:
        found = await ctx.detached(other)
        await ctx.sleep(1)
        await ctx.detached(other)
        return found

    assert replay(await recorded(flow, other, call=()), [flow, other]).agreement is Agreement.WHOLE


async def test_races_timeouts_and_cancellations_agree():
    async def flow(ctx: Context) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await ctx.sleep(100)
        won = await ctx.race(ctx.sleep(3), ctx.sleep(2), ctx.sleep(9))
        async with asyncio.TaskGroup() as group:
            one, two = (group.create_task(chain(ctx, n)) for n in (1, 2))
        return f"{won} {one.result()} {two.result()} {await ctx.now()} {ctx.uuid4()} {ctx.random.random()}"

    async def chain(ctx: Context, n: int) -> int:
        await ctx.sleep(n)
        return await ctx.run(abs, n)

    assert replay(await recorded(flow, call=()), flow).agreement is Agreement.WHOLE


async def test_generator_workflows_agree():
    def flow(ctx: Context):
        one = yield ctx.run(abs, -1)
        yield ctx.sleep(one)
        return one

    assert replay(await recorded(flow, call=()), flow).agreement is Agreement.WHOLE


async def test_a_step_that_was_started_by_itself_agrees():
    verdict = replay(await recorded(charge), charge)
    assert (verdict.agreement, verdict.step) == (Agreement.WHOLE, 0)


# ---------------------------------------------------------------- other code


async def differs(function: Callable[..., object], *more: Callable[..., object], **how) -> Verdict:
    verdict = replay(await recorded(checkout, **how), [function, *more])
    assert verdict.agreement is Agreement.NONE
    with pytest.raises(AssertionError) as raised:
        verdict.check()
    assert str(raised.value) == str(verdict)
    return verdict


async def test_other_arguments_are_told_field_by_field_with_both_lines():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        return await ctx.run(charge, Order(order.id, order.cents * 2), retries=2)

    verdict = await differs(today)
    assert (verdict.step, verdict.id) == (1, "x:1")
    assert verdict.arguments == (
        "args[0].cents: 5 was recorded, now it is 10",
        "kwargs['retries']: 1 was recorded, now it is 2",
    )
    assert verdict.recorded.what == verdict.asked.what == "run charge@1"
    assert verdict.recorded.place.startswith("test_replay.py:")
    assert verdict.asked.place.startswith(f"{__file__}:")
    assert verdict.asked.line == "return await ctx.run(charge, Order(order.id, order.cents * 2), retries=2)"
    for part in ("differs at step 1, x:1", "recorded: run charge@1", "asked now: run charge@1", verdict.asked.line):
        assert part in str(verdict)


async def test_the_line_is_that_of_the_call_also_where_the_workflow_has_something_to_clean_up():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        try:
            return await ctx.run(charge, order, retries=2)
        finally:
            asyncio.get_running_loop()

    verdict = await differs(today)
    assert verdict.asked.line == "return await ctx.run(charge, order, retries=2)"


async def test_another_function():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        await ctx.run(send, "hello")
        return ""

    verdict = await differs(today)
    assert (verdict.step, verdict.id) == (1, "x:1")
    assert (verdict.recorded.what, verdict.asked.what) == ("run charge@1", "run send@1")
    assert verdict.arguments == ()


async def test_another_kind_of_thing_in_the_middle():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        receipt = await ctx.run(charge, order, retries=1)
        await ctx.run(send, receipt)
        return receipt

    verdict = await differs(today)
    assert (verdict.step, verdict.id) == (2, "x:2")
    assert (verdict.recorded.what, verdict.asked.what) == ("sleep", "run send@1")


async def test_another_duration():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        receipt = await ctx.run(charge, order, retries=1)
        await ctx.sleep(60)
        return receipt

    assert (await differs(today)).arguments == ("duration: 86400 s was recorded, now it is 60 s",)


async def test_something_that_is_no_longer_asked_for():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        receipt = await ctx.run(charge, order, retries=1)
        await ctx.sleep(timedelta(days=1))
        return receipt

    verdict = await differs(today)
    assert (verdict.step, verdict.id, verdict.recorded.what) == (3, "x:3", "run send@1")
    assert verdict.asked.what.startswith("ends resolved with")


async def test_something_new_before_the_end():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        receipt = await checkout(ctx, order)
        await ctx.run(send, "and again")
        return receipt

    verdict = await differs(today)
    assert (verdict.step, verdict.id, verdict.asked.what) == (4, "x:4", "run send@1")
    assert verdict.recorded.what == "ends resolved with 'receipt for o: 5'"


async def test_something_new_is_fine_where_the_recording_was_not_there_yet():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        await ctx.run(charge, order, retries=1)
        await ctx.sleep(timedelta(days=1))
        await ctx.run(send, "another text")
        return "another end"

    one = await recorded(checkout, until=timedelta(hours=1))
    assert replay(one, today).agreement is Agreement.SO_FAR


async def test_another_branch_while_something_recorded_is_left():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        await ctx.promise()
        return ""

    verdict = await differs(today, until=timedelta(hours=1))
    assert (verdict.id, verdict.asked.what) == ("x:1", "promise")


async def test_it_waits_where_it_used_to_end():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        receipt = await checkout(ctx, order)
        await asyncio.Event().wait()
        return receipt

    assert "nothing will ever settle" in str(await differs(today))


async def test_another_result():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        return (await checkout(ctx, order)).upper()

    verdict = await differs(today)
    assert (verdict.id, verdict.reason) == ("x", "it ends otherwise.")
    assert verdict.arguments == ("value: 'receipt for o: 5' was recorded, now it is 'RECEIPT FOR O: 5'",)


async def test_an_error_where_there_was_a_result():
    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        await checkout(ctx, order)
        raise ValueError("no more")

    verdict = await differs(today)
    assert verdict.asked.what == "ends rejected with ('ValueError', 'no more')"


async def test_a_function_that_is_gone_or_takes_something_else():
    async def other(ctx: Context) -> None: ...

    assert "no function is registered here as 'checkout'" in str(await differs(other))

    @named("checkout")
    async def today(ctx: Context) -> None: ...

    assert "an argument too many" in str(await differs(today))

    @named("checkout")
    async def typed(ctx: Context, order: int) -> None: ...

    assert "can't take it up" in str(await differs(typed))


async def test_arguments_that_todays_types_cant_read_are_compared_as_they_are_written():
    @named("charge")
    def bill(order: Bill, retries: int = 0) -> str:
        return ""

    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        return await ctx.run(bill, Bill(3), retries=1)

    assert (await differs(today)).arguments == (
        "args[0]['id']: 'o' was recorded, now it is gone",
        "args[0]['cents']: 5 was recorded, now it is gone",
        "args[0]['total']: it was not recorded, now it is 3",
    )


async def test_the_order_of_two_tasks_that_changed():
    async def flow(ctx: Context) -> None:
        await asyncio.gather(chain(ctx, "a"), chain(ctx, "b"))

    async def chain(ctx: Context, name: str) -> None:
        await ctx.run(send, name)

    one = await recorded(flow, call=())

    @named("flow")
    async def today(ctx: Context) -> None:
        await asyncio.gather(chain(ctx, "b"), chain(ctx, "a"))

    verdict = replay(one, today)
    assert verdict.id == "x:1.1"
    assert verdict.arguments == ("args[0]: 'a' was recorded, now it is 'b'",)


# ---------------------------------------------------------------- functions, folders, debuggers


async def test_functions_come_from_a_client_with_its_dependencies():
    class Desk:
        name = "north"

    async def flow(ctx: Context) -> str:
        return await ctx.run(str.upper, ctx.get_dependency(Desk).name)

    client = Resonate()
    client.register(flow)
    client.set_dependency(Desk, Desk())
    async with Harness() as harness:
        worker = await harness.open(harness.client())
        worker.register(flow)
        worker.set_dependency(Desk, Desk())
        await worker.run("x", flow)
        one = await worker.record("x")
    assert replay(one, client).agreement is Agreement.WHOLE


async def test_functions_come_from_a_module():
    one = await recorded(checkout)
    assert replay(one, sys.modules[__name__]).agreement is Agreement.WHOLE


async def test_a_folder_is_a_gate(tmp_path):
    (await recorded(checkout)).save(tmp_path)
    (await recorded(checkout, until=timedelta(hours=1))).save(tmp_path / "waiting" / "x.json")
    waiting, whole = replay_folder(tmp_path, [checkout])
    assert (waiting.agreement, whole.agreement) == (Agreement.SO_FAR, Agreement.WHOLE)

    @named("checkout")
    async def today(ctx: Context, order: Order) -> str:
        return ""

    with pytest.raises(AssertionError, match="2 of 2 recordings differ") as failed:
        replay_folder(tmp_path, [today])
    assert str(failed.value).count("run charge@1") == 2


def test_an_empty_folder_is_no_gate(tmp_path):
    with pytest.raises(UsageError, match="no recordings"):
        replay_folder(tmp_path, [checkout])


DEBUGGED = """
from pathlib import Path
from resonate import Context
from resonate.testing.replaying import replay

def step(n: int) -> int:
    return n

async def flow(ctx: Context, n: int) -> int:
    first = await ctx.run(step, n)
    {}
    return await ctx.run(step, first + 1)

print(replay(Path(__import__("sys").argv[1]), flow, debug={}))
"""


@pytest.mark.parametrize(
    ("line", "debug", "asked", "told"),
    [
        ("breakpoint()", False, "p first\nc\n", ["41", "agrees to the end"]),
        ("first += 1", True, "p first\nc\n", ["42", "differs at step 2, x:2"]),
    ],
)
async def test_it_works_under_pdb(tmp_path, line, debug, asked, told):
    def step(n: int) -> int:
        return n

    async def flow(ctx: Context, n: int) -> int:
        first = await ctx.run(step, n)
        return await ctx.run(step, first + 1)

    path = (await recorded(flow, step, call=(41,))).save(tmp_path / "x.json")
    script = tmp_path / "app.py"
    script.write_text(textwrap.dedent(DEBUGGED).format(line, debug))
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
        [sys.executable, str(script), str(path)], input=asked, capture_output=True, text=True, timeout=60, check=True
    )
    assert "app.py" in ended.stdout
    for text in told:
        assert text in ended.stdout, ended.stdout + ended.stderr


async def test_a_recording_names_no_code_that_is_run(tmp_path):
    path = (await recorded(checkout)).save(tmp_path / "x.json")
    wire = json.loads(path.read_text())
    call = json.dumps({"func": "os.system", "args": ["exit 3"]})
    wire["promise"]["param"]["data"] = base64.b64encode(call.encode()).decode()
    path.write_text(json.dumps(wire))
    assert "no function is registered here as 'os.system'" in str(replay(path, [checkout]))
