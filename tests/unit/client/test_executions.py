"""Starting, attaching to, awaiting and canceling executions from outside."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import (
    Conflict,
    Context,
    Handle,
    Info,
    NotFound,
    PromiseCanceled,
    PromiseState,
    PromiseTimedOut,
    Resonate,
)


async def double(n: int) -> int:
    return 2 * n


def add(n: int, *, more: int = 1) -> int:
    return n + more


async def both(ctx: Context, n: int, *, more: int = 1) -> int:
    return await ctx.run(add, await ctx.run(double, n), more=more)


def stepwise(ctx: Context, n: int):
    doubled = yield ctx.run(double, n)
    handle = yield ctx.begin_run(add, doubled)
    return (yield handle)


async def patient(ctx: Context, seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def failing(ctx: Context) -> None:
    raise ValueError("the shop is closed")


# ---------------------------------------------------------------- run


async def test_run_gives_the_result_of_each_kind_of_function(client):
    for fn in (both, stepwise, double, add):
        client.register(fn)
    assert await client.run("a", both, 2, more=5) == 9
    assert await client.run("b", stepwise, 2) == 5
    assert await client.run("c", double, 2) == 4
    assert await client.run("d", add, 2, more=3) == 5


async def test_run_takes_the_name_of_a_registered_function(client):
    client.register(name="twice")(double)
    assert await client.run("a", "twice", 4) == 8
    assert await client.run("b", double, 4) == 8


async def test_run_raises_what_the_function_raised(client):
    client.register(failing)
    with pytest.raises(ValueError, match="the shop is closed"):
        await client.run("a", failing)


async def test_register_returns_the_function_itself(client):
    assert client.register(double) is double
    assert client.register(version=2)(add) is add
    assert await double(3) == 6


async def test_begin_run_returns_once_the_execution_is_durable(client, harness):
    client.register(patient)
    handle = await client.begin_run("a", patient, 3600)
    assert isinstance(handle, Handle)
    assert handle.id == "a"
    assert (await client.promises.get("a")).state is PromiseState.PENDING
    assert not await handle.done()
    assert await handle.result() == "done"
    assert await handle.done()
    assert await handle == "done"
    assert harness.clock.now() - (await client.promises.get("a")).created_at >= 3_600_000


async def test_a_memory_backend_needs_no_harness():
    resonate = Resonate()
    resonate.register(both)
    async with resonate:
        assert await resonate.run("a", both, 1) == 3


# ---------------------------------------------------------------- attach


async def test_the_same_call_attaches_while_it_runs_and_when_it_is_over(client):
    runs = []

    @client.register
    async def once(ctx: Context, n: int) -> int:
        runs.append(n)
        await ctx.sleep(60)
        return n

    assert await asyncio.gather(*(client.run("a", once, 7) for _ in range(5))) == [7] * 5
    assert await client.run("a", once, 7) == 7
    assert runs == [7]


async def test_another_client_attaches_too(harness):
    one, two = [await harness.open(harness.client(pid=pid)) for pid in ("one", "two")]
    for client in (one, two):
        client.register(patient)
    handle = await one.begin_run("a", patient, 60)
    assert await two.run("a", patient, 60) == "done"
    assert await handle == "done"


@pytest.mark.parametrize("over", [False, True])
async def test_the_same_id_with_other_arguments_is_a_conflict_that_names_both(client, over):
    client.register(patient)
    handle = await client.begin_run("a", patient, 60)
    if over:
        await handle
    with pytest.raises(Conflict) as caught:
        await client.run("a", patient, 61)
    assert "patient(60.0)" in str(caught.value)
    assert "patient(61.0)" in str(caught.value)
    assert "another id" in str(caught.value)


async def test_the_same_id_with_another_function_is_a_conflict_that_names_both(client):
    client.register(patient)
    client.register(double)
    await client.begin_run("a", patient, 60)
    for start in (client.run, client.rpc):
        with pytest.raises(Conflict, match=r"patient\(60\.0\).*double\(60\)"):
            await start("a", double, 60)


async def test_a_promise_is_not_an_execution(client):
    client.register(double)
    await client.promises.create("a")
    with pytest.raises(Conflict, match=r"no call.*double\(1\)"):
        await client.run("a", double, 1)


# ---------------------------------------------------------------- rpc


async def test_rpc_reaches_a_worker_of_another_group(harness):
    shop = await harness.open(harness.client(group="shop"))
    bank = await harness.open(harness.client(group="bank"))
    here = []

    @bank.register
    async def charge(cents: int) -> str:
        here.append("bank")
        return f"charged {cents}"

    assert await shop.options(target="bank").rpc("a", "charge", 5) == "charged 5"
    assert await shop.options(target="bank").rpc("b", charge, 6) == "charged 6"
    handle = await shop.options(target="bank").begin_rpc("c", "charge", 7)
    assert await handle == "charged 7"
    assert here == ["bank"] * 3


async def test_a_workflow_calls_another_group(harness):
    shop = await harness.open(harness.client(group="shop"))
    bank = await harness.open(harness.client(group="bank"))

    @bank.register
    def charge(cents: int) -> str:
        return f"charged {cents}"

    @shop.register
    async def checkout(ctx: Context) -> list[str]:
        first = await ctx.options(target="bank").rpc("charge", 5)
        handle = await ctx.options(target="bank").begin_rpc(charge, 6)
        return [first, await handle]

    assert await shop.run("a", checkout) == ["charged 5", "charged 6"]


async def test_rpc_without_a_target_stays_in_the_group(client):
    client.register(double)
    assert await client.rpc("a", double, 2) == 4


# ---------------------------------------------------------------- get


async def test_get_gives_a_handle_on_any_execution(harness):
    one = await harness.open(harness.client(pid="one"))
    two = await harness.open(harness.client(pid="two", group="elsewhere"))
    one.register(patient)
    await one.begin_run("a", patient, 60)
    handle = two.get("a", returns=str)
    assert handle.id == "a"
    assert not await handle.done()
    assert await handle.result() == "done"
    assert repr(handle) == "<Handle a>"


async def test_get_reads_the_result_as_a_type(client):
    @client.register
    async def how_long() -> timedelta:
        return timedelta(hours=1)

    await client.run("a", how_long)
    assert await client.get("a", returns=timedelta) == timedelta(hours=1)


async def test_a_handle_on_nothing_says_so(client):
    handle = client.get("nobody")
    for ask in (handle.result, handle.done, handle.cancel):
        with pytest.raises(NotFound, match="nobody"):
            await ask()


# ---------------------------------------------------------------- cancel


async def test_a_canceled_execution_says_so_to_whoever_waits(client):
    client.register(patient)
    handle = await client.begin_run("a", patient, 60)
    waiting = asyncio.ensure_future(client.get("a").result())
    await asyncio.sleep(0)
    assert await client.cancel("a")
    for result in (handle.result(), waiting):
        with pytest.raises(PromiseCanceled):
            await result
    assert (await client.promises.get("a")).state is PromiseState.REJECTED_CANCELED


async def test_cancel_of_what_is_over_changes_nothing(client):
    client.register(double)
    handle = await client.begin_run("a", double, 1)
    assert await handle == 2
    assert not await handle.cancel()
    assert not await client.cancel("a")
    assert await client.run("a", double, 1) == 2


async def test_a_canceled_workflow_makes_no_further_step(client, harness):
    steps = []

    async def step(n: int) -> None:
        steps.append(n)

    @client.register
    async def two_steps(ctx: Context) -> None:
        await ctx.run(step, 1)
        await ctx.sleep(60)
        await ctx.run(step, 2)

    await client.begin_run("a", two_steps)
    await harness.clock.advance(timedelta(seconds=1))
    assert await client.cancel("a")
    await harness.clock.advance(timedelta(minutes=5))
    assert steps == [1]


# ---------------------------------------------------------------- timeouts and options


async def test_an_execution_that_takes_longer_than_its_timeout_times_out(client):
    client.register(patient)
    with pytest.raises(PromiseTimedOut):
        await client.options(timeout=60).run("a", patient, 61)


async def test_the_timeout_is_the_functions_unless_the_call_has_its_own(client, harness):
    client.register(timeout=60)(patient)
    started = harness.clock.now()
    await client.begin_run("a", patient, 1)
    await client.options(timeout=timedelta(minutes=2)).begin_run("b", patient, 1)
    assert (await client.promises.get("a")).timeout_at == started + 60_000
    assert (await client.promises.get("b")).timeout_at == started + 120_000


async def test_thirty_days_are_the_default_timeout(client, harness):
    client.register(patient)
    await client.begin_run("a", patient, 1)
    record = await client.promises.get("a")
    assert record.timeout_at - record.created_at == 30 * 86_400_000


async def test_options_can_be_made_before_the_client_is_open(harness):
    client = harness.client()
    client.register(patient)
    hasty = client.options(timeout=60)
    async with client:
        with pytest.raises(PromiseTimedOut):
            await hasty.run("a", patient, 61)
        assert await hasty.promises.get("a") == await client.promises.get("a")


async def test_options_leave_the_client_as_it_is_and_add_up(client):
    client.register(patient)
    tagged = client.options(tags={"shop": "north"})
    await tagged.options(timeout=60).begin_run("a", patient, 1)
    await client.begin_run("b", patient, 1)
    a, b = await client.promises.get("a"), await client.promises.get("b")
    assert a.tags["shop"] == "north"
    assert a.timeout_at - a.created_at == 60_000
    assert "shop" not in b.tags
    assert b.timeout_at - b.created_at == 30 * 86_400_000


async def test_a_step_started_from_outside_takes_info(client):
    @client.register
    async def who(info: Info) -> list[object]:
        return [info.id, info.execution, info.attempt, info.idempotency_key]

    assert await client.run("a", who) == ["a", "a", 1, "a"]


async def test_more_executions_than_there_is_room_for_all_run(harness):
    client = await harness.open(harness.client(concurrency=1))
    client.register(double)
    assert await asyncio.gather(*(client.run(f"{n}", double, n) for n in range(20))) == [2 * n for n in range(20)]
