"""What one worker can't read, another may: an execution that meets it is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from resonate import (
    Codecs,
    Compressed,
    Context,
    DirectoryBlobs,
    Encrypted,
    JsonCodec,
    Never,
    NotReadableHere,
    Offloaded,
    PickleCodec,
    PromiseState,
)
from resonate.core.protocol.records import Value
from resonate.core.protocol.requests import PromiseCreate

OLD, NEW = b"o" * 32, b"n" * 32
BOTH = Encrypted(JsonCodec(), {"b": NEW, "a": OLD})
AHEAD = {
    "a newer key": (BOTH, Encrypted(JsonCodec(), {"a": OLD})),
    "another key of the same name": (Encrypted(JsonCodec(), {"a": NEW}), Encrypted(JsonCodec(), {"a": OLD})),
    "a codec": (PickleCodec(key=OLD), JsonCodec()),
    "a wrapper": (BOTH, Compressed(JsonCodec())),
    "one codec of several": (BOTH, Codecs(JsonCodec(), PickleCodec(key=OLD))),
    "a key that is not there yet": (JsonCodec(), BOTH),
    "a key of pickles": (PickleCodec(keys={"b": NEW}), PickleCodec(keys={"a": OLD})),
    "any key of pickles": (PickleCodec(key=OLD), PickleCodec(allow_unsigned=True)),
}


async def double(n: int) -> int:
    return 2 * n


async def fails(n: int) -> int:
    raise KeyError(n)


async def waits(ctx: Context, n: int) -> int:
    first = await ctx.run(double, n)
    try:
        await ctx.run(fails, n)
    except KeyError as error:
        first += error.args[0]
    await ctx.sleep(60)
    return first + await ctx.run(double, n)


async def started(harness, codec, pid):
    client = await harness.open(harness.client(codec=codec, pid=pid, continuations=0, retry=Never()))
    client.register(waits)
    return client


def state(harness, id):
    (found,) = [each.record for each in harness.snapshot().promises if each.record.id == id]
    return found.state


@pytest.mark.parametrize("name", AHEAD)
async def test_a_worker_that_lags_behind_gives_it_back_and_another_goes_on(harness, name, caplog):
    ahead, behind = AHEAD[name]
    one = await started(harness, ahead, "one")
    await one.begin_run("a", waits, 3)
    await harness.clock.advance(timedelta(seconds=1))
    await harness.crash(one)
    two = await started(harness, behind, "two")
    await harness.clock.advance(timedelta(minutes=30))
    assert state(harness, "a") is PromiseState.PENDING
    assert "can't be read here and is given back" in caplog.text
    with pytest.raises(NotReadableHere):
        await two.run("a", waits, 3)
    await harness.crash(two)
    three = await started(harness, ahead, "three")
    assert await three.get("a") == 15


@pytest.mark.parametrize("which", [double, fails])
async def test_a_result_that_one_worker_can_not_read_stops_it_there(harness, which, caplog):
    plain = JsonCodec()

    async def asks(ctx: Context) -> str:
        try:
            return f"{await ctx.options(target='elsewhere').rpc(which, 3)}"
        except KeyError as error:
            return f"failed with {error}"

    def worker(codec, pid, group="default"):
        client = harness.client(codec=codec, pid=pid, group=group, continuations=0, retry=Never())
        client.register(asks)
        client.register(double)
        client.register(fails)
        return harness.open(client)

    await worker(Codecs(BOTH, plain), "far", "elsewhere")
    one = await worker(plain, "one")
    handle = await one.begin_run("a", asks)
    await harness.clock.advance(timedelta(minutes=10))
    assert state(harness, "a") is PromiseState.PENDING
    assert "was stopped, and is kept" in caplog.text
    with pytest.raises(NotReadableHere):
        await handle.result()
    await harness.crash(one)
    await worker(Codecs(plain, BOTH), "two")
    two = await worker(Codecs(plain, BOTH), "three")
    assert await two.get("a") == ("6" if which is double else "failed with 3")


async def test_a_call_of_a_later_step_that_can_not_be_read_is_no_other_call(harness):
    one = await started(harness, Codecs(JsonCodec(), BOTH), "one")
    await one.begin_run("a", waits, 3)
    await harness.clock.advance(timedelta(seconds=1))
    await harness.crash(one)
    two = await started(harness, Codecs(BOTH, JsonCodec()), "two")  # encrypts the last step's call
    await harness.clock.advance(timedelta(minutes=5))
    assert await two.get("a") == 15
    (last,) = [each.record for each in harness.snapshot().promises if each.record.id == "a:4"]
    assert "aes-gcm" in last.param.headers["content-encoding"]


async def naps(ctx: Context, n: int) -> int:
    await ctx.sleep(60)
    first = await ctx.run(double, n)
    await ctx.sleep(3600)
    return first + await ctx.run(double, n)


async def test_a_recorded_call_that_one_worker_can_not_read_stops_it_there(harness, caplog):
    async def worker(codec, pid):
        client = await harness.open(harness.client(codec=codec, pid=pid, continuations=0))
        client.register(naps)
        return client

    one = await worker(JsonCodec(), "one")
    await one.begin_run("a", naps, 3)
    await harness.clock.advance(timedelta(seconds=30))
    await harness.crash(one)
    two = await worker(Codecs(BOTH, JsonCodec()), "two")  # encrypts the call of the step
    await harness.clock.advance(timedelta(minutes=30))
    await harness.crash(two)
    three = await worker(JsonCodec(), "three")
    await harness.clock.advance(timedelta(hours=2))
    assert state(harness, "a") is PromiseState.PENDING
    assert "was stopped, and is kept: the value is wrapped in 'aes-gcm'" in caplog.text
    await harness.crash(three)
    four = await worker(Codecs(JsonCodec(), BOTH), "four")
    assert await four.get("a") == 12


async def test_a_blob_that_is_missing_is_waited_for(harness, tmp_path):
    codec = Offloaded(JsonCodec(), DirectoryBlobs(tmp_path / "blobs"), threshold=10)

    async def long(text: str) -> str:
        return text * 100

    async def keeps(ctx: Context) -> int:
        text = await ctx.run(long, "x" * 100)
        await ctx.sleep(60)
        return len(text)

    async def worker(pid):
        client = await harness.open(harness.client(codec=codec, pid=pid, continuations=0))
        client.register(keeps)
        return client

    one = await worker("one")
    await one.begin_run("a", keeps)
    await harness.clock.advance(timedelta(seconds=1))
    await harness.crash(one)
    (tmp_path / "blobs").rename(tmp_path / "away")
    two = await worker("two")
    await harness.clock.advance(timedelta(minutes=10))
    assert state(harness, "a") is PromiseState.PENDING
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert await two.get("a") == 10_000


async def nested(ctx: Context, n: int) -> int:
    return await ctx.run(double, n)


@pytest.mark.parametrize("called", [double, nested])
async def test_a_call_that_somebody_else_wrote_in_an_unknown_way_is_left_alone(harness, called, caplog):
    store = harness.server.connect(group="strangers", pid="stranger")
    await store.start()
    param = Value({"content-encoding": "rot13"}, "x")
    await store.send(PromiseCreate(id="a:1", timeout_at=harness.clock.now() + 10**9, param=param))

    async def calls(ctx: Context) -> int:
        return await ctx.run(called, 3)

    client = await harness.open(harness.client(pid="one"))
    client.register(calls)
    await client.begin_run("a", calls)
    await harness.clock.advance(timedelta(minutes=1))
    assert state(harness, "a") is PromiseState.PENDING
    assert "was stopped, and is kept: the value is wrapped in 'rot13'" in caplog.text
    await store.stop()
