"""What functions may know: dependencies, Info, the time, dice, ids; and the logger."""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from resonate import Constant, Context, Info, Never, UsageError


class Database:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture(params=[1000, 0], ids=["parked", "replayed"])
async def client(harness, request):
    """A client whose workflows go on in place, and one that replays them at each resume."""
    return await harness.open(harness.client(pid="one", continuations=request.param))


async def test_dependencies_are_found_by_name_and_by_type(client):
    client.set_dependency("region", "north")
    client.set_dependency(Database, Database("shop"))

    async def step(info: Info, suffix: str) -> str:
        return info.get_dependency("region") + info.get_dependency(Database).name + suffix

    @client.register
    async def workflow(ctx: Context) -> list[str]:
        await ctx.sleep(1)
        own = ctx.get_dependency("region") + ctx.get_dependency(Database).name
        return [own, await ctx.run(step, "!")]

    assert await client.run("a", workflow) == ["northshop", "northshop!"]


async def test_a_dependency_that_is_missing_is_named(client):
    @client.register
    async def by_name(ctx: Context) -> None:
        ctx.get_dependency("region")

    @client.register(retry=Never())
    def by_type(info: Info) -> None:
        info.get_dependency(Database)

    with pytest.raises(UsageError, match=r"'region'.*set_dependency"):
        await client.run("a", by_name)
    with pytest.raises(UsageError, match=r"'Database'.*set_dependency"):
        await client.run("b", by_type)


async def test_a_dependency_can_be_replaced(client):
    client.set_dependency("region", "north")
    client.set_dependency("region", "south")

    @client.register
    async def where(info: Info) -> str:
        return info.get_dependency("region")

    assert await client.run("a", where) == "south"


async def test_info_of_a_step_that_is_tried_again(client, harness):
    seen: list[Info] = []

    async def flaky(info: Info, n: int) -> int:
        seen.append(info)
        if info.attempt < 3:
            raise OSError
        return n

    @client.register
    async def workflow(ctx: Context) -> int:
        return await ctx.options(timeout=60).run(flaky, 5)

    started = harness.clock.now()
    assert await client.run("a", workflow) == 5
    assert [info.attempt for info in seen] == [1, 2, 3]
    assert {(info.id, info.execution, info.function, info.idempotency_key) for info in seen} == {
        ("a:1", "a", "flaky", "a:1")
    }
    assert seen[0].timeout_at == started + 60_000
    assert seen[0].deadline == datetime.fromtimestamp(started / 1000, UTC) + timedelta(seconds=60)


async def test_info_of_a_workflow(client, harness):
    @client.register
    async def workflow(ctx: Context) -> list[object]:
        return [ctx.id, ctx.info.id, ctx.info.execution, ctx.info.function, ctx.info.timeout_at]

    at = harness.clock.now() + 30 * 86_400_000
    assert await client.run("a", workflow) == ["a", "a", "a", "workflow", at]


async def test_a_workflow_within_a_workflow_has_its_own_id(client):
    async def inner(ctx: Context) -> list[str]:
        return [ctx.id, ctx.info.execution]

    @client.register
    async def outer(ctx: Context) -> list[str]:
        return await ctx.run(inner)

    assert await client.run("a", outer) == ["a:1", "a"]


async def test_time_dice_and_uuids_are_the_same_in_every_replay(client, harness):
    seen: list[list[object]] = []

    @client.register
    async def workflow(ctx: Context) -> None:
        facts = [await ctx.now(), ctx.random.random(), ctx.uuid4(), ctx.random.randint(1, 10**9)]
        await ctx.sleep(60)
        seen.append([*facts, await ctx.now(), ctx.uuid4()])
        await ctx.sleep(60)

    started = datetime.fromtimestamp(harness.clock.now() / 1000, UTC)
    await client.run("a", workflow)
    now, dice, first, number, later, second = seen[0]
    assert all(each == seen[0] for each in seen)
    assert (now, later) == (started, started + timedelta(seconds=60))
    assert isinstance(first, uuid.UUID)
    assert first != second
    assert first.version == 4
    assert 0 <= dice < 1 <= number


async def test_dice_differ_between_executions_and_between_tasks(client):
    @client.register
    async def roll(ctx: Context) -> list[float]:
        async def one() -> float:
            return ctx.random.random()

        return [ctx.random.random(), *await ctx.map(roll_within, range(2))]

    async def roll_within(ctx: Context, _n: int) -> float:
        return ctx.random.random()

    rolls = [*await client.run("a", roll), *await client.run("b", roll)]
    assert len(set(rolls)) == 6


async def test_the_logger_is_silent_while_history_is_replayed(client, caplog):
    caplog.set_level(logging.INFO)

    @client.register
    async def chatty(ctx: Context) -> None:
        ctx.logger.info("first")
        await ctx.sleep(60)
        ctx.logger.info("second")
        await ctx.sleep(60)
        ctx.logger.info("third")

    await client.run("a", chatty)
    said = [record for record in caplog.records if record.message in {"first", "second", "third"}]
    assert [record.message for record in said] == ["first", "second", "third"]
    assert {getattr(record, "resonate_id", None) for record in said} == {"a"}


async def test_an_execution_with_very_many_promises_is_warned_of_once(client, caplog):
    @client.register
    async def eager(ctx: Context) -> int:
        return sum(await ctx.map(one, [1] * 1_200))

    async def one(n: int) -> int:
        return n

    assert await client.run("eager", eager) == 1_200
    warnings = [record.getMessage() for record in caplog.records if "ctx.detached" in record.getMessage()]
    assert len(warnings) == 1
    assert "eager" in warnings[0]


async def test_a_handle_is_no_truth_value(client):
    @client.register
    async def hasty(ctx: Context) -> str:
        approved = await ctx.promise(returns=bool)  # its handle: the answer takes another await
        return "paid" if approved else "not paid"

    with pytest.raises(UsageError, match="truth value") as refused:
        await client.run("hasty", hasty)
    assert "awaited again" in str(refused.value)


async def test_a_handle_is_no_part_of_a_text_but_can_be_shown(client):
    async def one() -> int:
        return 1

    @client.register
    async def shows(ctx: Context) -> str:
        handle = ctx.run(one)
        shown = f"{handle!r}, {handle.id}"
        await handle
        return shown

    @client.register
    async def hasty(ctx: Context) -> str:
        return f"you get {ctx.run(one)}"

    assert (await client.run("shows", shows)).startswith("<Durable")
    with pytest.raises(UsageError, match=r"The handle of hasty.1 was put into a text") as refused:
        await client.run("hasty", hasty)
    assert "Await it for its result" in str(refused.value)


async def test_each_failed_attempt_at_a_step_is_logged(client, caplog):
    @client.register
    async def calls(ctx: Context) -> None:
        await ctx.options(retry=Constant(5, max_retries=2)).run(misspelt)

    def misspelt() -> None:
        raise NameError("name 'ordr' is not defined")

    with pytest.raises(NameError):
        await client.run("calls", calls)
    logged = [record.getMessage() for record in caplog.records if record.name == "resonate.steps"]
    assert len(logged) == 2
    assert "misspelt" in logged[0]
    assert "'ordr'" in logged[0]
    assert "in 5.0 s" in logged[0]


async def test_a_result_is_not_awaited_on_another_loop(client):
    @client.register
    async def asks(ctx: Context) -> None:
        await (await ctx.promise())

    handle = await client.begin_run("asks", asks)
    with pytest.raises(UsageError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, handle.result())
