"""What a failure says of where it was raised: the user's own lines, and none of this library's on the way there."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from resonate import Context, DecodingError, EngineBug, JsonCodec, Never, Resonate
from resonate.runtime.threads import Threads


def fails() -> None:
    raise ValueError("no card")


async def fails_too() -> None:
    await asyncio.sleep(0)
    fails()


async def workflow_fails(ctx: Context) -> None:
    await ctx.now()
    fails()


def generator_fails(ctx: Context):
    yield ctx.now()
    fails()


async def calls_wrongly(ctx: Context) -> None:
    await ctx.run(fails, 1)


def bug() -> None:
    raise EngineBug("a law was broken")


async def double(n: int) -> int:
    return 2 * n


@pytest.fixture
async def client():
    async with Resonate(retry=Never(), grace=0) as client:
        yield client


async def stack_of(client: Resonate, fn) -> list[str]:
    """Run it, and return the lines of the note that says where it failed first."""
    client.register(fn)
    with pytest.raises(Exception) as caught:
        await client.run("a", fn)
    (note,) = caught.value.__notes__
    first, *rest = note.splitlines()
    assert first == "Traceback where it was first raised:"
    assert rest[-1].strip()
    return [line.strip() for line in rest if line.lstrip().startswith("File ")]


@pytest.mark.parametrize("fn", [fails, fails_too, workflow_fails, generator_fails])
async def test_it_begins_in_the_code_that_failed(client, fn):
    lines = await stack_of(client, fn)
    assert all(f'{__file__}"' in line for line in lines)
    assert lines[-1].endswith("in fails")
    assert fn.__name__ in lines[0]


async def test_a_call_that_can_not_work_ends_where_it_is_made(client):
    (line,) = await stack_of(client, calls_wrongly)
    assert line.endswith("in calls_wrongly")


async def test_a_bug_of_this_library_keeps_every_frame(client):
    lines = await stack_of(client, bug)
    assert any("resonate/runtime/steps.py" in line for line in lines)
    assert lines[-1].endswith("in bug")


async def test_what_this_library_refuses_by_itself_shows_nothing_of_it(harness):
    asking = await harness.open(harness.client(pid="asking"))
    handle = await asking.options(target="far").begin_rpc("a", "double", "not a number")
    far = harness.client(pid="far", group="far")
    far.register(double)
    await harness.open(far)
    with pytest.raises(DecodingError) as caught:
        await handle
    assert not hasattr(caught.value, "__notes__")


def test_what_is_not_for_this_library_to_raise_keeps_the_frames_that_raised_it():
    closed, pool = Threads(1, "closed"), Threads(1, "open")
    closed.close()

    def submits() -> None:
        closed.submit(fails)

    for fn, frames in ((submits, ["submits", "submit"]), (partial(closed.submit, fails), ["outcome", "submit"])):
        call = pool.submit(fn)
        assert call.wait(60)
        with pytest.raises(RuntimeError) as raised:
            call.result()
        error = raised.value.with_traceback(raised.value.__traceback__.tb_next.tb_next)  # less this test, and `result`
        written = JsonCodec().decode_error(JsonCodec().encode_error(error))
        assert [line.split()[-1] for line in written.__notes__[0].splitlines() if "File " in line] == frames
    pool.close()
