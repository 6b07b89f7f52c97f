"""Retries of steps: the policies as users meet them, their deadline guard, and what is not retried."""

from __future__ import annotations

import pytest

from resonate import (
    ApplicationError,
    Constant,
    Context,
    Exponential,
    Info,
    Linear,
    Never,
    NonRetryableError,
)


class Flaky:
    """A step that fails a number of times, and remembers when it was run."""

    def __init__(self, clock, failures: float = float("inf"), error: Exception | None = None) -> None:
        self.clock = clock
        self.start = clock.now()
        self.failures = failures
        self.error = error or OSError("no route")
        self.runs: list[int] = []

    async def __call__(self) -> str:
        self.runs.append((self.clock.now() - self.start) // 1000)
        if len(self.runs) <= self.failures:
            raise self.error
        return "ok"


@pytest.mark.parametrize(
    ("policy", "runs"),
    [
        (None, [0, 1, 3, 7, 15, 31, 61, 91]),
        (Constant(delay=5), [0, 5, 10, 15, 20, 25, 30, 35]),
        (Linear(delay=2), [0, 2, 6, 12, 20, 30, 42, 56]),
        (Exponential(delay=1, factor=3, max_delay=10), [0, 1, 4, 13, 23, 33, 43, 53]),
    ],
)
async def test_a_step_is_tried_again_by_its_policy(client, harness, policy, runs):
    flaky = Flaky(harness.clock, failures=7)

    @client.register
    async def workflow(ctx: Context) -> str:
        return await ctx.options(retry=policy).run(flaky)

    assert await client.run("a", workflow) == "ok"
    assert flaky.runs == runs


async def test_the_policy_is_that_of_the_call_then_the_functions_then_the_clients(harness):
    client = await harness.open(harness.client(retry=Constant(delay=3, max_retries=1)))
    steps = {name: Flaky(harness.clock) for name in ("client", "function", "call")}

    @client.register(name="client")
    async def of_client() -> str:
        return await steps["client"]()

    @client.register(name="function", retry=Constant(delay=4, max_retries=1))
    async def of_function() -> str:
        return await steps["function"]()

    @client.register(name="call", retry=Constant(delay=4, max_retries=1))
    async def of_call() -> str:
        return await steps["call"]()

    @client.register
    async def workflow(ctx: Context) -> None:
        chosen = {"call": ctx.options(retry=Constant(delay=5, max_retries=1))}
        for name, step in steps.items():
            step.start = harness.clock.now()
            with pytest.raises(OSError, match="no route"):
                await chosen.get(name, ctx).run(name)

    await client.run("a", workflow)
    assert {name: step.runs for name, step in steps.items()} == {"client": [0, 3], "function": [0, 4], "call": [0, 5]}


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (Never(), OSError("no")),
        (Exponential(), NonRetryableError("no")),
        (Exponential(non_retryable=(OSError,)), OSError("no")),
    ],
)
async def test_some_failures_are_final(client, harness, policy, error):
    flaky = Flaky(harness.clock, error=error)

    @client.register
    async def workflow(ctx: Context) -> str:
        return await ctx.options(retry=policy).run(flaky)

    with pytest.raises(type(error), match="no"):
        await client.run("a", workflow)
    assert flaky.runs == [0]


async def test_no_retry_is_made_past_the_deadline(client, harness):
    flaky = Flaky(harness.clock)

    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.options(timeout=20, retry=Constant(delay=6)).run(flaky)

    with pytest.raises(OSError, match="no route"):
        await client.run("a", workflow)
    assert flaky.runs == [0, 6, 12, 18]
    assert harness.clock.now() - flaky.start < 20_000


async def test_plain_steps_are_tried_again_too(client):
    runs = []

    def flaky(info: Info) -> int:
        runs.append(info.attempt)
        if info.attempt < 3:
            raise OSError("no route")
        return info.attempt

    @client.register
    async def workflow(ctx: Context) -> int:
        return await ctx.run(flaky)

    assert await client.run("a", workflow) == 3
    assert runs == [1, 2, 3]


async def test_an_error_that_leaves_a_workflow_is_its_result(client):
    runs = []

    @client.register
    async def workflow(ctx: Context) -> None:
        runs.append(1)
        raise KeyError("total")

    for _ in range(2):
        with pytest.raises(KeyError, match="total"):
            await client.run("a", workflow)
    assert runs == [1]


async def test_an_error_of_ones_own_comes_back_with_its_name(client):
    class OutOfStock(Exception):
        pass

    @client.register
    async def workflow(ctx: Context) -> None:
        raise OutOfStock("sku 7")

    with pytest.raises((OutOfStock, ApplicationError), match="sku 7") as caught:
        await client.run("a", workflow)
    assert "OutOfStock" in str(caught.value) + type(caught.value).__name__


async def test_a_failure_is_one_line_of_the_log_that_says_when_the_next_try_is(client, caplog):
    def fails(info: Info) -> str:
        if info.attempt == 1:
            raise OSError("no route\nto the bank")
        return "ok"

    async def workflow(ctx: Context) -> str:
        return await ctx.options(retry=Constant(delay=3 * 3600 + 12 * 60)).run(fails)

    client.register(workflow)
    assert await client.run("a", workflow) == "ok"
    assert (
        "The step a:1 (fails) failed with OSError: no route to the bank. That was attempt 1; the next is in 3 h 12 min."
        in (caplog.messages)
    )


class Packs:
    """A step that changes its arguments, and fails at its first try."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    async def __call__(self, items: list[str], *, into: dict[str, int]) -> list[str]:
        self.seen.append([*items, *into])
        items.append("wrapping")
        into["tape"] = 1
        if len(self.seen) == 1:
            raise OSError("no route")
        return items


async def test_each_try_has_the_arguments_that_were_recorded(client):
    @client.register
    async def workflow(ctx: Context) -> list[str]:
        return await ctx.run(packs, ["book"], into={"box": 1})

    packs = client.register(Packs(), name="packs")
    assert await client.run("a", workflow) == ["book", "wrapping"]
    assert packs.seen == [["book", "box"]] * 2
    packs.seen.clear()
    assert await client.run("b", packs, ["book"], into={"box": 1}) == ["book", "wrapping"]
    assert packs.seen == [["book", "box"]] * 2
