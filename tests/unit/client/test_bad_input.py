"""What a user can do wrong: each gets a typed error at once, whose text says what to do."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta

import pytest

from resonate import (
    ApplicationError,
    Conflict,
    Constant,
    Context,
    DecodingError,
    DeterminismError,
    EncodingError,
    Exponential,
    FunctionNotRegistered,
    Info,
    Never,
    NotFound,
    Resonate,
    ResonateError,
    UsageError,
)


async def double(n: int) -> int:
    return 2 * n


async def rest(ctx: Context, seconds: float) -> str:
    await ctx.sleep(seconds)
    return "rested"


class Socket:
    """Nothing that can be written down."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()


# ---------------------------------------------------------------- the client itself


async def test_a_client_that_is_not_open(harness):
    client = harness.client()
    client.register(double)
    for call in (
        client.run("a", double, 1),
        client.begin_run("a", double, 1),
        client.rpc("a", double, 1),
        client.schedule("s", "* * * * *", double, 1),
        client.promises.get("a"),
        client.promises.create("a"),
        client.schedules.get("s"),
        client.cancel("a"),
        anext(client.promises.search()),
        anext(client.schedules.search()),
    ):
        with pytest.raises(UsageError, match=r"not open.*async with"):
            await call
    with pytest.raises(UsageError, match=r"not open.*async with"):
        client.get("a")


async def test_a_client_that_was_closed(harness):
    client = harness.client()

    @client.register
    async def waits(ctx: Context) -> None:
        await (await ctx.promise())

    async with client:
        handle = await client.begin_run("a", waits)
        later = client.get("b")
    with pytest.raises(UsageError, match=r"not open.*async with"):
        await client.run("a", waits)
    for late in (handle, later):
        with pytest.raises(UsageError, match="closed"):
            await asyncio.wait_for(late.result(), 60)


async def test_opening_twice(client):
    with pytest.raises(UsageError, match=r"open already.*another"):
        await client.__aenter__()


async def test_a_client_on_another_event_loop(client):
    client.register(double)

    def elsewhere() -> None:
        async def main() -> None:
            with pytest.raises(UsageError, match=r"outside of the event loop.*resonate\.sync"):
                await client.run("a", double, 1)

        asyncio.run(main())

    await asyncio.get_running_loop().run_in_executor(None, elsewhere)


async def test_a_client_used_in_a_thread(client):
    def step() -> str:
        try:
            client.get("a")
        except UsageError as error:
            return str(error)
        return "nothing was said"

    client.register(step)
    assert "resonate.sync" in await client.run("a", step)


async def test_a_client_inside_a_workflow(client):
    client.register(double)

    @client.register
    async def workflow(ctx: Context) -> int:
        return await client.run("b", double, 1)

    with pytest.raises(UsageError, match=r"inside a workflow.*ctx\.run"):
        await client.run("a", workflow)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"backend": "ftp://x"}, "ftp"),
        ({"backend": "nonsense"}, "nonsense"),
        ({"backend": 5}, "connect"),
        ({"group": ""}, "group"),
        ({"group": "a b"}, "group"),
        ({"group": "a/b"}, "group"),
        ({"pid": ""}, "pid"),
        ({"pid": 7}, "pid"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 1.5}, "concurrency"),
        ({"continuations": -1}, "continuations"),
        ({"continuation_age": 0}, "continuation_age"),
        ({"threads": 0}, "threads"),
        ({"threads": True}, "threads"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": "60"}, "ttl"),
        ({"grace": -1}, "grace"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retry": 3}, "retry"),
        ({"retry": Exponential}, "retry"),
        ({"codec": "json"}, "codec"),
        ({"clock": "now"}, "clock"),
        ({"tracers": [print]}, "tracer"),
        ({"tracers": object()}, "tracers"),
    ],
)
def test_settings_that_can_not_be(wrong, named):
    with pytest.raises(UsageError, match=named):
        Resonate(**wrong)


# ---------------------------------------------------------------- ids


@pytest.mark.parametrize("wrong", ["", None, 7, "a:1", "a\0b", "x" * 1000, "\ud800", b"a"])
async def test_ids_that_can_not_be(client, wrong):
    client.register(double)
    for call in (
        client.run(wrong, double, 1),
        client.begin_rpc(wrong, double, 1),
        client.promises.create(wrong),
        client.schedule(wrong, "* * * * *", double, 1),
    ):
        with pytest.raises(UsageError, match=r"\bid\b"):
            await call


@pytest.mark.parametrize("wrong", ["", None, 7, "a\0b", "\ud800"])
async def test_ids_that_can_not_be_looked_up(client, wrong):
    with pytest.raises(UsageError, match=r"\bid\b"):
        client.get(wrong)
    for call in (
        client.cancel(wrong),
        client.promises.get(wrong),
        client.promises.resolve(wrong),
        client.schedules.get(wrong),
        client.schedules.delete(wrong),
    ):
        with pytest.raises(UsageError, match=r"\bid\b"):
            await call


async def test_the_function_before_the_id(client):
    client.register(double)
    for start in (client.run, client.rpc):
        with pytest.raises(UsageError, match=r"id is a str, not function"):
            await start(double, "a", 1)


async def test_an_id_of_the_wrong_family_within_a_workflow(client):
    @client.register
    async def workflow(ctx: Context) -> int:
        return await ctx.options(id="elsewhere:1").run(double, 1)

    with pytest.raises(UsageError, match=r"elsewhere:1.*'a:'"):
        await client.run("a", workflow)


async def test_an_id_twice_within_a_workflow(client):
    @client.register
    async def workflow(ctx: Context) -> None:
        mine = ctx.options(id="a:mine")
        await asyncio.gather(mine.run(double, 1), mine.run(double, 1))

    with pytest.raises(UsageError, match=r"a:mine is already in use.*its own|a:mine.*of its own"):
        await client.run("a", workflow)


# ---------------------------------------------------------------- functions


async def test_a_function_that_is_not_registered(client):
    with pytest.raises(FunctionNotRegistered, match=r"double.*register"):
        await client.run("a", double, 1)
    with pytest.raises(FunctionNotRegistered, match=r"'double'.*Register"):
        await client.run("a", "double", 1)
    with pytest.raises(NotFound):
        await client.promises.get("a")


async def test_a_name_that_is_nearly_right(client):
    client.register(double)
    with pytest.raises(FunctionNotRegistered, match="Did you mean 'double'"):
        await client.run("a", "doubel", 1)


async def test_a_name_that_is_not_registered_within_a_workflow(client):
    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.run("nobody")

    with pytest.raises(FunctionNotRegistered, match="'nobody'"):
        await client.run("a", workflow)


@pytest.mark.parametrize("wrong", [None, 5, [], object()])
async def test_what_is_no_function(client, wrong):
    for call in (
        client.run("a", wrong),
        client.rpc("a", wrong),
        client.schedule("s", "* * * * *", wrong),
    ):
        with pytest.raises(UsageError, match="function"):
            await call

    @client.register
    async def workflow(ctx: Context, how: str) -> None:
        await getattr(ctx, how)(wrong)

    for how in ("run", "begin_run", "rpc", "begin_rpc", "detached"):
        with pytest.raises(UsageError, match="function"):
            await client.run(f"w-{how}", workflow, how)


async def test_a_call_instead_of_a_function(client):
    @client.register
    async def workflow(ctx: Context) -> None:
        called = double(1)
        try:
            await ctx.run(called)
        finally:
            called.close()

    with pytest.raises(UsageError, match=r"without calling it"):
        await client.run("a", workflow)


async def test_registering_another_function_under_the_same_name(client):
    client.register(double)
    with pytest.raises(UsageError, match=r"'double', version 1.*another name.*higher version"):
        client.register(name="double")(rest)
    assert client.register(double) is double


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"version": 0}, "version"),
        ({"version": "2"}, "version"),
        ({"version": True}, "version"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"retry": 3}, "retry"),
        ({"retry": Exponential}, "retry"),
    ],
)
def test_registering_with_options_that_can_not_be(options, named):
    with pytest.raises(UsageError, match=named):
        Resonate().register(**options)(double)


def test_a_context_in_a_plain_function():
    def plain(ctx: Context) -> None:
        pass

    with pytest.raises(UsageError, match=r"plain def.*async def"):
        Resonate().register(plain)


async def test_a_context_in_a_plain_function_within_a_workflow(client):
    def plain(ctx: Context) -> None:
        pass

    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.run(plain)

    with pytest.raises(UsageError, match=r"plain def.*async def"):
        await client.run("a", workflow)


def test_retries_of_a_workflow():
    with pytest.raises(UsageError, match="retr"):
        Resonate().register(retry=Constant())(rest)
    assert Resonate().register(retry=Never())(rest) is rest


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "call",
    [((), {}), ((1, 2), {}), ((1,), {"m": 2}), ((), {"m": 2})],
    ids=["too few", "too many", "unknown name", "wrong name"],
)
async def test_arguments_that_do_not_fit(client, call):
    args, kwargs = call
    client.register(double)
    for start in (client.run, client.rpc):
        with pytest.raises(UsageError, match=r"double\(\).*It takes \(n"):
            await start("a", double, *args, **kwargs)
    with pytest.raises(UsageError, match=r"double\(\).*It takes \(n"):
        await client.schedule("s", "* * * * *", double, *args, **kwargs)

    @client.register
    async def workflow(ctx: Context, how: str) -> None:
        await getattr(ctx, how)(double, *args, **kwargs)

    for how in ("run", "begin_run", "rpc", "begin_rpc", "detached"):
        with pytest.raises(UsageError, match=r"double\(\).*It takes \(n"):
            await client.run(f"w-{how}", workflow, how)


async def test_arguments_that_do_not_fit_where_the_call_arrives(client):
    many = [await client.begin_rpc(f"many {name}", name, 1, 2, 3) for name in ("double", "rest")]
    none = [await client.begin_rpc(f"none {name}", name) for name in ("double", "rest")]
    client.register(double)
    client.register(rest)
    for handle in many:
        with pytest.raises(DecodingError, match="an argument too many"):
            await handle
    for handle in none:
        with pytest.raises(UsageError, match=r"\(\) can't be called like this: missing.*It takes"):
            await handle


async def test_arguments_that_can_not_be_written(client):
    @client.register
    async def step(x: object) -> None:
        pass

    for start in (client.run, client.rpc):
        with pytest.raises(EncodingError, match="Socket"):
            await start("a", step, Socket())

    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.run(step, {"deep": [Socket()]})

    with pytest.raises(EncodingError, match="Socket") as caught:
        await client.run("b", workflow)
    assert "deep" in str(caught.value)
    assert "b" in str(caught.value)


async def test_a_result_that_can_not_be_written(client):
    runs = []

    @client.register
    async def step() -> object:
        runs.append(1)
        return [Socket()]

    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.run(step)

    @client.register
    async def itself(ctx: Context) -> object:
        return Socket()

    for fn, where in ((step, "a"), (workflow, "b:1"), (itself, "c")):
        with pytest.raises(EncodingError, match="Socket") as caught:
            await client.run(where.partition(":")[0], fn)
        assert where in str(caught.value)
    assert runs == [1, 1]


async def test_a_result_that_can_not_be_read_as_the_type_that_is_asked_for(client):
    client.register(double)
    await client.run("a", double, 1)
    with pytest.raises(ResonateError, match=r"datetime|timedelta"):
        await client.get("a", returns=datetime).result()


# ---------------------------------------------------------------- options and durations


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timeout": -1}, "timeout"),
        ({"timeout": timedelta(seconds=-1)}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"target": ""}, "target"),
        ({"target": 5}, "target"),
        ({"version": 0}, "version"),
        ({"version": "2"}, "version"),
        ({"retry": 3}, "retry"),
        ({"retry": Exponential}, "retry"),
        ({"tags": {"a": 1}}, "tag"),
        ({"tags": {1: "a"}}, "tag"),
        ({"tags": {"resonate:target": "x"}}, "resonate:"),
        ({"tags": ["a"]}, "tags"),
    ],
)
async def test_options_that_can_not_be(client, options, named):
    if "retry" not in options:  # policies don't travel
        with pytest.raises(UsageError, match=named):
            client.options(**options)

    @client.register
    async def workflow(ctx: Context) -> None:
        ctx.options(**options)

    with pytest.raises(UsageError, match=named):
        await client.run("a", workflow)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda ctx: ctx.options(retry=Never()).rpc(double, 1),
            "and double runs wherever a worker takes it. Give it where the function is registered",
        ),
        (lambda ctx: ctx.options(retry=Never()).begin_rpc("far", 1), "and far runs wherever a worker takes it"),
        (lambda ctx: ctx.options(retry=Never()).detached(double, 1), "and double runs wherever a worker takes it"),
        (
            lambda ctx: ctx.options(target="far").run(double, 1),
            "'far' is for a remote call, and run runs double in this process. Call it by rpc to have it run there, or",
        ),
        (lambda ctx: ctx.options(target="far").begin_run(double, 1), "run runs double in this process"),
        (lambda ctx: ctx.options(target="far").map(double, [1]), "run runs double in this process"),
    ],
)
async def test_options_that_a_call_in_a_workflow_can_not_heed(client, call, text):
    async def workflow(ctx: Context) -> str:
        with pytest.raises(UsageError) as caught:
            await call(ctx)
        return str(caught.value)

    client.register(workflow)
    assert text in await client.run("a", workflow)


async def test_a_target_for_what_runs_here(client):
    client.register(double)
    for call in (client.options(target="far").run, client.options(target="far").begin_run):
        with pytest.raises(UsageError, match="run runs double in this process"):
            await call("a", double, 1)
    with pytest.raises(NotFound):
        await client.promises.get("a")


async def test_a_version_that_is_not_registered(client):
    client.register(double)
    with pytest.raises(FunctionNotRegistered, match=r"version 7.*beside 1"):
        await client.options(version=7).run("a", double, 1)
    with pytest.raises(FunctionNotRegistered, match=r"version 7.*beside 1"):
        await client.options(version=7).rpc("a", double, 1)

    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.options(version=7).run(double, 1)

    with pytest.raises(FunctionNotRegistered, match=r"version 7.*beside 1"):
        await client.run("a", workflow)


@pytest.mark.parametrize(
    "policy",
    [
        lambda: Exponential(delay=-1),
        lambda: Exponential(factor=0.5),
        lambda: Constant(delay="1"),
        lambda: Constant(max_retries=-1),
        lambda: Constant(jitter=2),
        lambda: Constant(non_retryable=ValueError),
    ],
)
def test_policies_that_can_not_be(policy):
    with pytest.raises(UsageError, match=r"retry|max_retries|jitter|non_retryable"):
        policy()


@pytest.mark.parametrize("cron", ["", "* * * *", "every day", "61 * * * *", "0 0 31 2 *", None, 5])
async def test_cron_expressions_that_can_not_be(client, cron):
    client.register(double)
    with pytest.raises(UsageError, match="cron"):
        await client.schedule("s", cron, double, 1)


async def test_searches_that_can_not_be(client):
    for wrong in ({"state": "asleep"}, {"page": 0}, {"page": -1}, {"page": "all"}, {"tags": {"a": 1}}):
        with pytest.raises(UsageError, match=r"state|page|tag"):
            await anext(client.promises.search(**wrong))
    for wrong in ({"page": 0}, {"page": "all"}, {"tags": {"a": 1}}):
        with pytest.raises(UsageError, match=r"page|tag"):
            await anext(client.schedules.search(**wrong))


async def test_promises_that_can_not_be(client):
    with pytest.raises(UsageError, match="timeout"):
        await client.promises.create("a", timeout=-1)
    with pytest.raises(EncodingError, match="Socket"):
        await client.promises.create("a", value=Socket())
    await client.promises.create("a")
    with pytest.raises(EncodingError, match="Socket"):
        await client.promises.resolve("a", Socket())
    with pytest.raises(UsageError, match=r"error.*text|text.*error"):
        await client.promises.reject("a", 5)
    await client.promises.resolve("a", 1)
    assert await client.get("a") == 1


# ---------------------------------------------------------------- the context


@pytest.mark.parametrize("wrong", [-1, "soon", float("nan"), float("inf"), None])
async def test_sleeps_that_can_not_be(client, wrong):
    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.sleep(wrong)

    with pytest.raises(UsageError, match="sleep"):
        await client.run("a", workflow)


async def test_sleeping_until_a_time_without_a_zone(client):
    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.sleep_until(datetime(2030, 1, 1))  # noqa: DTZ001 - what is tested

    with pytest.raises(UsageError, match=r"time zone.*UTC"):
        await client.run("a", workflow)


async def test_awaiting_what_is_not_durable(client):
    loop = asyncio.get_running_loop()
    foreign = loop.create_future()

    async def of_a_future() -> None:
        await foreign

    async def of_a_thread() -> None:
        await asyncio.to_thread(print)

    async def of_a_socket() -> None:
        await asyncio.open_connection("localhost", 1)

    for number, undurable in enumerate((of_a_future, of_a_thread, of_a_socket)):

        @client.register(name=f"w{number}")
        async def workflow(ctx: Context, undurable=undurable) -> None:
            await undurable()

        with pytest.raises(DeterminismError, match=r"ctx\.run"):
            await client.run(f"a{number}", f"w{number}")


async def test_awaiting_for_ever(client):
    @client.register
    async def workflow(ctx: Context) -> None:
        await asyncio.Event().wait()

    with pytest.raises(UsageError, match="nothing will ever settle"):
        await client.run("a", workflow)


async def test_a_context_in_a_step(client):
    @client.register
    async def workflow(ctx: Context, asynchronous: bool) -> str:
        async def step() -> str:
            return attempt()

        def plain() -> str:
            return attempt()

        def attempt() -> str:
            said = []
            for call in (
                lambda: ctx.run(double, 1),
                lambda: ctx.sleep(1),
                ctx.promise,
                ctx.now,
                lambda: ctx.random,
                ctx.uuid4,
                lambda: ctx.detached(double, 1),
            ):
                try:
                    call()
                except UsageError as error:
                    said.append(str(error))
            return "\n".join(said)

        return await ctx.run(step if asynchronous else plain)

    for asynchronous in (True, False):
        said = (await client.run(f"a{asynchronous}", workflow, asynchronous)).splitlines()
        assert len(said) == 7
        assert all("outside of" in line and "workflow's own code" in line for line in said)


async def test_a_context_after_the_end(client):
    kept: list[Context] = []

    @client.register
    async def workflow(ctx: Context) -> None:
        kept.append(ctx)

    await client.run("a", workflow)
    for call in (lambda: kept[0].run(double, 1), lambda: kept[0].sleep(1), kept[0].promise):
        with pytest.raises(UsageError, match=r"over.*only inside its own workflow"):
            call()


async def test_a_context_of_another_workflow(client, harness):
    kept: list[Context] = []

    @client.register
    async def lender(ctx: Context) -> None:
        kept.append(ctx)
        await ctx.sleep(3600)

    @client.register
    async def borrower(ctx: Context) -> None:
        await kept[0].run(double, 1)

    await client.begin_run("a", lender)
    await harness.clock.advance(0)
    with pytest.raises(UsageError, match="outside of its workflow"):
        await client.run("b", borrower)


async def test_a_race_of_nobody_and_a_map_of_no_width(client):
    @client.register
    async def race(ctx: Context) -> None:
        await ctx.race()

    @client.register
    async def fan(ctx: Context) -> None:
        await ctx.map(double, [1], limit=0)

    with pytest.raises(UsageError, match="at least one"):
        await client.run("a", race)
    with pytest.raises(UsageError, match="limit"):
        await client.run("b", fan)


async def test_a_generator_that_yields_what_is_not_durable(client):
    @client.register
    def workflow(ctx: Context):
        yield 5

    with pytest.raises(UsageError, match=r"yield"):
        await client.run("a", workflow)


async def test_a_step_that_asks_for_what_was_not_set(client):
    @client.register(retry=Never())
    async def step(info: Info) -> None:
        info.get_dependency(3)

    with pytest.raises(UsageError, match="dependency"):
        await client.run("a", step)


async def test_a_dependency_under_no_key(client):
    for wrong in (None, 5, ["region"]):
        with pytest.raises(UsageError, match="name or a type"):
            client.set_dependency(wrong, 1)


async def test_an_id_used_by_another_function(client):
    client.register(double)
    client.register(rest)
    await client.run("a", double, 1)
    with pytest.raises(Conflict, match=r"double\(1\).*rest\(1"):
        await client.run("a", rest, 1)


async def test_an_error_from_outside_is_an_application_error(client):
    await client.promises.create("a")
    await client.promises.reject("a", "the desk said no")
    with pytest.raises(ApplicationError, match="the desk said no"):
        await client.get("a")


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("forgotten", ["result", "argument", "named argument", "promise"])
async def test_a_call_that_was_not_awaited_is_told_as_such(client, forgotten, declared):
    async def workflow(ctx: Context) -> int:
        match forgotten:
            case "result":
                return ctx.run(double, 1)
            case "promise":
                return await ctx.promise(returns=int)
            case "argument":
                return await ctx.run(double, ctx.run(double, 1))
            case _:
                return await ctx.run(double, n=ctx.run(double, 1))

    if not declared:
        del workflow.__annotations__["return"]
    client.register(double)
    client.register(workflow)
    with pytest.raises(EncodingError, match="Await it: this is the handle of a durable call"):
        await client.run("a", workflow)
