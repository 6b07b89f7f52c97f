"""What a workflow catches is the same live and in every replay, whatever was raised and whatever was registered."""

from __future__ import annotations

import json
import traceback

import pytest

import resonate.sync
from resonate import (
    ApplicationError,
    Codecs,
    Context,
    JsonCodec,
    Never,
    NonRetryableError,
    PromiseTimedOut,
    UsageError,
)
from tests.unit.codecs.salted import Salted


class Registered(Exception):
    def __init__(self, sku, *, left):
        super().__init__(f"{sku}: {left} left")
        self.sku, self.left = sku, left


class Unregistered(Registered):
    """A subclass of a registered class is another class."""


class Gone(NonRetryableError):
    """Registered."""


class Lost(NonRetryableError):
    """Not registered."""


def chain():
    try:
        raise Registered("inner", left=0)
    except Registered as error:
        error.add_note("in the shop")
        try:
            raise Unregistered("outer", left=1) from error
        except Unregistered as outer:
            raise KeyError("k") from outer


RAISES = {
    "registered": lambda: raising(Registered("a", left=2)),
    "unregistered": lambda: raising(Unregistered("a", left=2)),
    "registered, not retried": lambda: raising(Gone("a", hint="Look elsewhere.")),
    "unregistered, not retried": lambda: raising(Lost("a")),
    "of the library": lambda: json.loads("{"),
    "a chain": chain,
    "a group": lambda: raising(
        ExceptionGroup("g", [Registered("a", left=2), ExceptionGroup("h", [Lost("b"), ValueError(1)])])
    ),
    "a result that can't be written": object,
    "a stop": lambda: raising(StopIteration(3)),
    "late": lambda: raising(PromiseTimedOut("late", step="elsewhere")),
}


def raising(error):
    error.add_note("noted")
    raise error


def fails(what: str):
    return RAISES[what]()


async def passes_on(ctx: Context, what: str):
    return await ctx.run(fails, what)


def told(error):
    """Everything that a workflow could act on."""
    members = [told(each) for each in error.exceptions] if isinstance(error, ExceptionGroup) else []
    links = [told(each) for each in (error.__cause__, error.__context__) if each is not None]
    notes = getattr(error, "__notes__", [])
    more = {name: value for name, value in vars(error).items() if name != "__notes__"}
    return type(error), str(error), () if members else error.args, more, notes, members, links


CODECS = {"json": JsonCodec, "wrapped": Salted, "several": lambda: Codecs(Salted(), JsonCodec())}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("continuations", [0, 100])
@pytest.mark.parametrize("what", RAISES)
async def test_a_workflow_catches_the_same_live_and_in_every_replay(harness, what, continuations, codec):
    seen = []

    async def flow(ctx: Context) -> str:
        caught = []
        for call in (ctx.run(fails, what), ctx.rpc(fails, what), ctx.run(passes_on, what)):
            try:
                await call
            except Registered as error:
                caught.append(("except Registered", told(error)))
            except Exception as error:  # noqa: BLE001 - all of them are what is told
                caught.append(("except Exception", told(error)))
            await ctx.sleep(1)
        seen.append(caught)
        await ctx.sleep(1)
        seen.append(caught)
        return caught[0][0]

    def client(pid):
        made = harness.client(pid=pid, codec=CODECS[codec](), continuations=continuations, retry=Never())
        for fn in (fails, passes_on, flow):
            made.register(fn)
        assert made.register_error(Registered) is Registered
        made.register_error(Gone)
        return made

    one = await harness.open(client("one"))
    await one.begin_run("e", flow)
    await harness.clock.sleep_until(harness.clock.now() + 3500)
    await harness.crash(one)
    two = await harness.open(client("two"))
    branch = await two.get("e").result()
    assert len(seen) >= 3
    assert all(each == seen[0] for each in seen)
    assert len(seen[0]) == 3
    with pytest.raises(seen[0][0][1][0]):  # who calls from outside catches it, too
        await two.run("again", fails, what)
    expected = {"registered": "except Registered"}
    assert branch == expected.get(what, "except Exception")


async def test_what_is_not_registered_is_told_by_name_with_its_details(client):
    client.register(fails)
    plain = client.options()
    with pytest.raises(ApplicationError) as caught:
        await plain.run("e", fails, "unregistered, not retried")
    assert (caught.value.name, caught.value.message) == ("Lost", "a")
    assert caught.value.details["module"] == __name__
    assert "raising" in "".join(traceback.format_exception(caught.value))  # where it was first raised


async def test_a_codec_that_can_register_nothing_says_so(harness):
    class Mute(Salted):
        register_error = None

    client = harness.client(codec=Mute())
    with pytest.raises(UsageError, match="Mute has no register_error"):
        client.register_error(Registered)


def test_the_blocking_client_registers_too():
    with resonate.sync.Resonate(retry=Never()) as client:
        client.register(fails)
        assert client.register_error(Registered) is Registered
        with pytest.raises(Registered) as caught:
            client.run("e", fails, "registered")
        assert caught.value.left == 2


async def test_what_comes_back_as_another_class_says_how_to_have_its_own(harness):
    async def lose():
        raise Unregistered("a", left=2)

    async def exits():
        raise SystemExit(3)

    async def flow(ctx: Context, which: str) -> None:
        await ctx.options(retry=Never()).run(lose if which == "lose" else exits)

    client = await harness.open(harness.client())
    client.register(flow)
    how = (
        "To have it raised as Unregistered: resonate.register_error(Unregistered), the class of that name in "
        f"{__name__}, in each process that catches it."
    )
    with pytest.raises(ApplicationError) as failed:
        await client.run("x", flow, "lose")
    assert failed.value.__notes__.count(how) == 1
    assert how in "".join(traceback.format_exception(failed.value))
    with pytest.raises(ApplicationError) as failed:
        await client.run("y", flow, "exits")
    assert not any("register_error" in note for note in failed.value.__notes__)

    client.register_error(Unregistered)
    with pytest.raises(Unregistered) as raised:
        await client.run("z", flow, "lose")
    assert not any("register_error" in note for note in raised.value.__notes__)
