"""A codec is changed while executions are in flight, and each value belongs to its place."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Codecs, Conflict, Context, DecodingError, JsonCodec, Never, NondeterminismError, UsageError
from tests.unit.codecs.salted import Salted

PLAIN, SECRET = JsonCodec(), Salted()
CODECS = {
    "plain": PLAIN,
    "plain, reads secret": Codecs(PLAIN, SECRET),
    "secret, reads plain": Codecs(SECRET, PLAIN),
    "two": Codecs(Salted(name="other"), PLAIN, SECRET),
}


class OutOfStock(Exception):
    pass


async def price(sku: str, *, count: int = 1) -> float:
    if sku == "none":
        raise OutOfStock(sku)
    return count * 1.5


async def part(ctx: Context, sku: str) -> float:
    return await ctx.run(price, sku) + await ctx.rpc(price, sku, count=3)


async def everything(ctx: Context, tag: str) -> list[object]:
    """Ask for one of each, and sleep between, so that a crash may come anywhere."""
    seen: list[object] = [tag, await ctx.run(price, "a", count=2)]
    await ctx.sleep(60)
    seen.append((await ctx.now()).isoformat())
    seen.append(await ctx.run(part, "b"))
    await ctx.sleep(60)
    for call in (ctx.run, ctx.rpc):
        try:
            await call(price, "none")
        except OutOfStock as error:
            seen.append(str(error))
    await ctx.sleep(60)
    seen.append(await ctx.options(id=f"apart-{tag}").detached(price, "c"))
    seen.append(await ctx.race(ctx.run(price, "d"), ctx.sleep(5)))
    handle = await ctx.promise(returns=dict[str, int], timeout=600)
    await ctx.run(tell, handle.id)
    seen.append(await handle)
    await ctx.sleep(60)
    seen.append(await asyncio.gather(ctx.map(price, ["x", "y"]), asyncio.sleep(1)))
    return seen


async def tell(id: str) -> None:
    TOLD.append(id)


TOLD: list[str] = []


async def open_with(harness, codec, pid):
    client = harness.client(codec=codec, pid=pid, continuations=0, retry=Never())
    for fn in (price, part, everything, tell):
        client.register(fn)
    codec.register_error(OutOfStock)
    return await harness.open(client)


async def settle_what_was_told(client):
    while not TOLD:
        await client._session.settings.clock.sleep_until(client._session.settings.clock.now() + 1000)
    await client.promises.resolve(TOLD.pop(), {"n": 1}, type=dict[str, int])


async def outcome(harness, codecs, seconds=40):
    """Run it, with another codec after each crash."""
    TOLD.clear()
    client = await open_with(harness, codecs[0], "p0")
    handle = await client.begin_run("e", everything, "t")
    for number, codec in enumerate(codecs[1:], 1):
        await harness.clock.sleep_until(harness.clock.now() + seconds * 1000)
        await harness.crash(client)
        client = await open_with(harness, codec, f"p{number}")
    settling = asyncio.create_task(settle_what_was_told(client))
    result = await client.get(handle.id, returns=list[object]).result()
    await settling
    assert await client.run("e", everything, "t") == result  # another codec wrote the call: it attaches all the same
    with pytest.raises(Conflict):
        await client.run("e", everything, "other")
    return result[:2] + result[3:]


async def test_each_value_belongs_to_its_place(harness):
    """The secret codec refuses a value at another place, a value with none, and a plain one."""
    plain = await outcome(harness, [PLAIN])
    assert plain[0] == "t"


async def test_a_codec_that_binds_values_to_their_place_can_read_them_all(harness):
    result = await outcome(harness, [SECRET])
    assert result[:2] == ["t", 3.0]
    assert result[3:5] == ["none", "none"]


@pytest.mark.parametrize("seconds", [30, 100])
@pytest.mark.parametrize(
    "names",
    [
        ["plain", "secret, reads plain"],
        ["plain", "secret, reads plain", "plain, reads secret"],
        ["plain", "secret, reads plain", "two", "plain, reads secret", "secret, reads plain"],
    ],
    ids=", then ".join,
)
async def test_the_codec_is_changed_between_crashes_and_back(harness, names, seconds):
    codecs = [CODECS[name] for name in names]
    if "two" in names:
        codecs[-1] = codecs[-2] = CODECS["two"]
    assert await outcome(harness, codecs, seconds) == [
        "t", 3.0, 6.0, "none", "none", "apart-t", 1.5, {"n": 1}, [[1.5, 1.5], None],
    ]  # fmt: skip


async def test_a_workflow_that_asks_for_something_else_is_stopped_whatever_the_codec(harness):
    first = await open_with(harness, PLAIN, "one")

    async def flow(ctx: Context, n: int) -> float:
        await ctx.run(price, "a", count=n)
        await ctx.sleep(60)
        return await ctx.run(price, "b")

    first.register(flow)
    await first.begin_run("e", flow, 1)
    await harness.clock.sleep_until(harness.clock.now() + 1000)
    await harness.crash(first)

    async def changed(ctx: Context, n: int) -> float:
        await ctx.run(price, "a", count=n + 1)
        return 0.0

    second = await open_with(harness, CODECS["secret, reads plain"], "two")
    second.register(name="flow")(changed)
    with pytest.raises(NondeterminismError, match="price"):
        await second.get("e").result()


async def test_a_value_that_no_codec_here_reads_fails_the_call_with_what_is_known(harness):
    first = await open_with(harness, SECRET, "one")
    await first.promises.create("p")
    await first.promises.resolve("p", 3)
    second = await open_with(harness, PLAIN, "two")
    with pytest.raises(DecodingError, match="'salted'"):
        await second.get("p").result()
    assert await first.get("p").result() == 3


async def test_a_schedule_hands_one_param_to_all_its_promises(harness):
    client = await open_with(harness, SECRET, "one")
    seen = []

    @client.register
    async def tick(n: int) -> None:
        seen.append(n)

    await client.schedule("s", "* * * * *", tick, 7)
    await harness.clock.sleep_until(harness.clock.now() + timedelta(minutes=3) // timedelta(milliseconds=1))
    await client.schedules.delete("s")
    assert seen[:2] == [7, 7]


async def test_a_value_that_was_moved_is_refused(harness):
    client = await open_with(harness, SECRET, "one")
    await client.promises.create("p")
    await client.promises.create("q")
    record = await client.promises.resolve("p", 3)
    assert client._session.codec.decode(record.value, int, at="p") == 3
    with pytest.raises(DecodingError, match="belongs to p"):
        client._session.codec.decode(record.value, int, at="q")


def test_a_client_takes_no_codec_that_is_none(harness):
    with pytest.raises(UsageError, match="no codec"):
        harness.client(codec=object())


@pytest.mark.parametrize("before", ["plain", "two"])
async def test_an_independent_execution_is_attached_to_whatever_codec_its_call_was_written_with(harness, before):
    async def starts(ctx: Context, sku: str) -> str:
        try:
            return await ctx.options(id="job").detached(price, sku)
        except Conflict:
            return "conflict"

    first = await open_with(harness, CODECS[before], "one")
    await first.rpc("job", price, "a")
    second = await open_with(harness, Codecs(SECRET, CODECS[before]), "two")
    second.register(starts)
    assert await second.run("a", starts, "a") == "job"
    assert await second.run("b", starts, "b") == "conflict"


async def test_what_was_recorded_by_a_codec_that_is_gone_is_an_error_where_it_is_awaited(harness):
    """Not a workflow that hangs, or a worker that dies: the same for a recorded instant as for a result."""
    seen = []

    async def flow(ctx: Context) -> str:
        for call in (ctx.now, lambda: ctx.run(price, "a")):
            try:
                await call()
            except DecodingError as error:
                seen.append((error.execution, error.step, str(error)))
            await ctx.sleep(60)
        return "over"

    first = await open_with(harness, SECRET, "one")
    first.register(flow)
    await first.begin_run("e", flow)
    await harness.clock.sleep_until(harness.clock.now() + 61_000)
    await harness.crash(first)
    second = await open_with(harness, Codecs(PLAIN, Unreadable()), "two")
    second.register(flow)
    assert await second.get("e").result() == "over"
    (first_at, second_at) = [(execution, step) for execution, step, _ in seen[-2:]]
    assert (first_at, second_at) == (("e", "e:1"), ("e", "e:3"))
    assert "the result of price@1: lost" in seen[-1][2]


class Unreadable(Salted):
    """Reads calls, and no values: its key is gone, say."""

    def decode(self, value, type_=None, *, at=""):
        raise DecodingError("lost")
