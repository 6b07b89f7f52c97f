"""What a workflow can do, on workers that go on in place and on workers that replay at each resume."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from resonate import Context, Durable, Info, Never, PromiseState


@pytest.fixture(params=[1000, 0], ids=["parked", "replayed"])
async def client(harness, request):
    return await harness.open(harness.client(pid="one", continuations=request.param))


async def double(n: int) -> int:
    return 2 * n


def add(n: int, *, more: int = 1) -> int:
    return n + more


async def told(info: Info, n: int) -> str:
    return f"{info.id}={n}"


def parse(text: str) -> int:
    return int(text)


async def inner(ctx: Context, n: int) -> int:
    await ctx.sleep(1)
    return await ctx.run(double, n)


def stepwise(ctx: Context, n: int):
    doubled = yield ctx.run(double, n)
    yield ctx.sleep(1)
    return doubled


async def test_run_takes_each_kind_of_function(client):
    client.register(name="twice")(double)

    @client.register
    async def workflow(ctx: Context) -> list[object]:
        return [
            await ctx.run(double, 1),
            await ctx.run(add, 1, more=5),
            await ctx.run(told, 7),
            await ctx.run(inner, 2),
            await ctx.run(stepwise, 3),
            await ctx.run("twice", 4),
            await ctx.run(lambda n: n + 1, 5),
        ]

    assert await client.run("a", workflow) == [2, 6, "a:3=7", 4, 6, 8, 6]


async def test_a_call_starts_at_once_and_is_awaited_later(client, harness):
    @client.register
    async def workflow(ctx: Context) -> list[int]:
        first, second = ctx.run(inner, 1), ctx.run(inner, 2)
        assert isinstance(first, Durable)
        return [await second, await first, await first]

    started = harness.clock.now()
    assert await client.run("a", workflow) == [4, 2, 2]
    assert harness.clock.now() - started == 1000


async def test_begin_run_gives_a_handle_once_the_call_is_durable(client):
    @client.register
    async def workflow(ctx: Context) -> list[object]:
        handle = await ctx.begin_run(inner, 5)
        return [handle.id, await handle]

    assert await client.run("a", workflow) == ["a:1", 10]


async def test_rpc_and_begin_rpc_go_through_the_store(client):
    client.register(inner)
    client.register(double)

    @client.register
    async def workflow(ctx: Context) -> list[object]:
        handle = await ctx.begin_rpc("inner", 5)
        return [await ctx.rpc(double, 1), handle.id, await handle, await ctx.rpc("double", 3)]

    assert await client.run("a", workflow) == [2, "a:1", 10, 6]


async def test_the_other_sdks_words(client):
    client.register(double)

    @client.register
    async def workflow(ctx: Context) -> list[int]:
        lfi, rfi = await ctx.lfi(double, 1), await ctx.rfi(double, 2)
        return [await lfi, await rfi, await ctx.lfc(double, 3), await ctx.rfc(double, 4)]

    assert await client.run("a", workflow) == [2, 4, 6, 8]


async def test_a_generator_workflow_has_the_same_context(client):
    client.register(inner)

    @client.register
    def workflow(ctx: Context, n: int):
        one = yield ctx.run(double, n)
        handle = yield ctx.begin_rpc("inner", one)
        yield ctx.sleep(1)
        try:
            yield ctx.options(retry=Never()).run(lambda: 1 // 0)
        except ZeroDivisionError:
            caught = True
        both = yield asyncio.gather(ctx.run(double, 1), ctx.run(double, 2))
        return [one, (yield handle), caught, both]

    assert await client.run("a", workflow, 3) == [6, 12, True, [2, 4]]


async def test_a_failure_is_raised_where_it_is_awaited_and_can_be_caught(client):
    @client.register
    async def workflow(ctx: Context) -> str:
        failed = ctx.options(retry=Never()).run(parse, "seven")
        await ctx.sleep(1)
        try:
            await failed
        except ValueError as error:
            return str(error)
        return "nothing"

    assert "seven" in await client.run("a", workflow)


@pytest.mark.usefixtures("searches")
async def test_detached_starts_an_execution_that_nobody_waits_for(client, harness):
    @client.register
    async def report(ctx: Context, n: int) -> int:
        await ctx.sleep(3600)
        return n

    @client.register
    async def workflow(ctx: Context) -> str:
        await ctx.sleep(1)
        return await ctx.detached("report", 7)

    started = harness.clock.now()
    report_id = await client.run("a", workflow)
    assert harness.clock.now() - started < 60_000
    assert report_id != "a"
    assert ":" not in report_id
    assert await client.get(report_id) == 7
    assert [each.id async for each in client.promises.search() if each.id.startswith("a")][:2] == ["a", "a:1"]


async def test_sleep_takes_seconds_a_timedelta_or_an_instant(client, harness):
    start = harness.clock.now()

    @client.register
    async def workflow(ctx: Context) -> list[int]:
        at = []
        for wait in (
            lambda: ctx.sleep(1.5),
            lambda: ctx.sleep(timedelta(days=400)),
            lambda: ctx.sleep_until(datetime(2027, 1, 1, tzinfo=UTC)),
            lambda: ctx.sleep_until(datetime(2020, 1, 1, tzinfo=UTC)),
            lambda: asyncio.sleep(2),
        ):
            await wait()
            at.append(round((await ctx.now()).timestamp() * 1000))
        return at

    at = await client.options(timeout=timedelta(days=1000)).run("a", workflow)
    year = round(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)
    days = start + 1500 + 400 * 86_400_000
    assert at == [start + 1500, days, year, year, year + 2000]


async def test_a_promise_is_handed_out_and_settled_from_outside(client, harness):
    @client.register
    async def workflow(ctx: Context) -> timedelta:
        promise = await ctx.promise(returns=timedelta, timeout=3600)
        await ctx.run(publish, promise.id)
        return await promise

    asked: list[str] = []

    async def publish(promise_id: str) -> None:
        asked.append(promise_id)

    handle = await client.begin_run("a", workflow)
    await harness.clock.advance(timedelta(minutes=1))
    await client.promises.resolve(asked[0], timedelta(hours=2), type=timedelta)
    assert await handle == timedelta(hours=2)


async def test_race_gives_the_first_and_cancels_the_others(client, harness):
    @client.register
    async def workflow(ctx: Context) -> list[object]:
        slow = ctx.sleep(3600)
        winner = await ctx.race(slow, ctx.run(inner, 4))
        return [winner, slow.cancelled(), slow.id]

    started = harness.clock.now()
    winner, canceled, slow = await client.run("a", workflow)
    assert (winner, canceled) == (8, True)
    assert harness.clock.now() - started < 60_000
    assert (await client.promises.get(slow)).state is PromiseState.REJECTED_CANCELED


async def test_a_race_is_lost_to_a_failure_too(client):
    @client.register
    async def workflow(ctx: Context) -> str:
        with pytest.raises(ValueError, match="seven"):
            await ctx.race(ctx.sleep(3600), ctx.options(retry=Never()).run(parse, "seven"))
        return "caught"

    assert await client.run("a", workflow) == "caught"


async def test_map_is_bounded_and_in_order(client):
    running, most = [], []

    async def work(n: int) -> int:
        running.append(n)
        most.append(len(running))
        await asyncio.sleep(0)
        running.remove(n)
        return n * n

    @client.register
    async def workflow(ctx: Context) -> list[list[int]]:
        return [await ctx.map(work, range(20), limit=3), await ctx.map(work, []), await ctx.map(inner, [1, 2])]

    assert await client.run("a", workflow) == [[n * n for n in range(20)], [], [2, 4]]
    assert max(most) == 3


async def test_the_first_failure_of_a_map_ends_it(client, harness):
    async def work(ctx: Context, n: int) -> int:
        await ctx.sleep(n)
        if n == 2:
            raise ValueError("two")
        return n

    @client.register
    async def workflow(ctx: Context) -> str:
        with pytest.raises(ValueError, match="two"):
            await ctx.map(work, [1, 2, 3600])
        return "caught"

    started = harness.clock.now()
    assert await client.run("a", workflow) == "caught"
    assert harness.clock.now() - started < 60_000


async def test_the_languages_own_constructs(client):
    @client.register
    async def workflow(ctx: Context) -> list[object]:
        gathered = await asyncio.gather(ctx.run(double, 1), ctx.run(inner, 2))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ctx.run(inner, n)) for n in range(3)]
        try:
            async with asyncio.timeout(5):
                await ctx.sleep(3600)
        except TimeoutError:
            timed_out = True
        queue: asyncio.Queue[int] = asyncio.Queue()

        async def produce() -> None:
            for n in range(3):
                await queue.put(await ctx.run(double, n))

        producer = asyncio.create_task(produce())
        produced = [await queue.get() for _ in range(3)]
        await producer
        return [gathered, [task.result() for task in tasks], timed_out, produced]

    assert await client.run("a", workflow) == [[2, 4], [0, 2, 4], True, [0, 2, 4]]


async def test_options_choose_id_tags_and_timeout(client):
    @client.register
    async def workflow(ctx: Context) -> str:
        chosen = ctx.options(tags={"shop": "north"}).options(timeout=60)
        await chosen.options(id="a:charge").run(double, 1)
        return await ctx.run(told, 1)

    assert await client.run("a", workflow) == "a:1=1"
    charge = await client.promises.get("a:charge")
    assert charge.tags["shop"] == "north"
    assert charge.timeout_at - charge.created_at == 60_000
    assert "shop" not in (await client.promises.get("a:1")).tags


async def test_a_workflow_ends_after_what_it_started(client, harness):
    ended = []

    async def slow(ctx: Context) -> None:
        await ctx.sleep(60)
        ended.append(1)

    @client.register
    async def workflow(ctx: Context) -> str:
        ctx.run(slow)
        return "done"

    started = harness.clock.now()
    assert await client.run("a", workflow) == "done"
    assert ended
    assert harness.clock.now() - started >= 60_000


async def test_finally_does_not_run_on_suspension(client):
    cleaned = []

    async def clean_up() -> None:
        cleaned.append(1)

    @client.register
    async def workflow(ctx: Context) -> str:
        try:
            await ctx.sleep(60)
            await ctx.sleep(60)
        finally:
            await ctx.run(clean_up)
        return "done"

    assert await client.run("a", workflow) == "done"
    assert cleaned == [1]


async def test_steps_run_once_however_often_the_workflow_is_resumed(client):
    runs: list[int] = []

    async def step(n: int) -> int:
        runs.append(n)
        return n

    @client.register
    async def workflow(ctx: Context) -> int:
        total = 0
        for n in range(10):
            total += await ctx.run(step, n)
            await ctx.sleep(60)
        return total

    assert await client.run("a", workflow) == 45
    assert runs == list(range(10))


async def test_a_workflow_goes_on_after_a_crash_where_it_stopped(harness):
    runs: list[str] = []

    def registered(client, pid: str):
        async def step(n: int) -> int:
            runs.append(f"{pid}{n}")
            return n

        @client.register
        async def workflow(ctx: Context) -> list[int]:
            found = []
            for n in range(4):
                found.append(await ctx.run(step, n))
                await ctx.sleep(60)
            return found

        return workflow

    one = await harness.open(harness.client(pid="one"))
    await one.begin_run("a", registered(one, "one"))
    await harness.clock.advance(timedelta(seconds=90))
    await harness.crash(one)
    two = await harness.open(harness.client(pid="two"))
    registered(two, "two")
    assert await two.get("a") == [0, 1, 2, 3]
    assert runs == ["one0", "one1", "two2", "two3"]
