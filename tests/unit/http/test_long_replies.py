"""Replies that are longer than this process reads: asked for once, said, read in smaller parts where that can be."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, MemoryServer, ReplyTooLong, Resonate
from resonate.core.protocol.dialect import FIELD, OURS
from resonate.core.protocol.settings import Settings
from resonate.testing import FieldServer, HttpFront
from tests.unit.http.wild import until

LIMIT = 20_000


def text(length: int) -> str:
    return "x" * length


async def long(ctx: Context, steps: int, length: int) -> int:
    done = 0
    for _ in range(steps):
        done += len(await ctx.run(text, length))
    return done + await (await ctx.promise())


async def short(ctx: Context) -> int:
    return len(await ctx.run(text, 10))


def client(wild, dialect, *, limit=LIMIT, **options):
    made = Resonate(wild.backend(reply_bytes=limit, dialect=dialect), **options)
    made.register(long)
    made.register(short)
    return made


def in_the_field(wild):
    """Let the server speak as most in the field do."""
    server = FieldServer(MemoryServer(wild.clock, settings=Settings(targeted_timers=True)), FIELD)
    wild.front = HttpFront(server)
    return server


async def interrupted(wild, dialect, steps, length):
    """Leave an execution with so long a history behind, which goes on as soon as somebody takes it up."""
    first = client(wild, dialect, pid="first", limit=10**8)
    await first.__aenter__()
    await first.begin_run("root", long, steps, length)
    outside = client(wild, dialect, group="outside", limit=10**8)
    await outside.__aenter__()
    await wild.clock.advance(1_000)
    assert (await outside.promises.get(f"root:{steps + 1}")).id
    await first._kill()
    await outside.promises.resolve(f"root:{steps + 1}", 1)
    wild.requests.clear()
    return outside


async def test_it_is_an_error_that_is_final_and_says_what_to_do(wild):
    async with client(wild, OURS, limit=10**8) as writer, client(wild, OURS, group="other") as reader:
        await writer.promises.create("p", value=text(LIMIT), timeout=60)
        wild.requests.clear()
        with pytest.raises(ReplyTooLong, match="reply_bytes") as caught:
            await reader.promises.get("p")
        assert not caught.value.retriable
        assert wild.kinds == ["promise.get"]


async def test_a_long_history_is_read_in_smaller_pages(wild):
    in_the_field(wild)
    outside = await interrupted(wild, FIELD, 100, 2_000)
    async with client(wild, FIELD, pid="second"):
        assert await outside.get("root") == 200_001
    assert 15 < wild.kinds.count("promise.search") < 60
    await outside._kill()


@pytest.mark.parametrize("way", ["search", "tree", "why", "record"])
async def test_so_is_what_is_shown_of_it(wild, way):
    outside = await interrupted(wild, OURS, 100, 2_000)
    looking = client(wild, OURS, group="looking")
    async with looking:
        if way == "search":
            assert len([one async for one in looking.promises.search(page=1_000)]) == 102
        else:
            assert await getattr(looking, way)("root")
    await outside._kill()


@pytest.mark.parametrize("case", ["a whole history", "one record"])
async def test_a_task_that_is_too_long_to_read_is_kept_and_said_while_others_go_on(wild, case, caplog):
    dialect, steps, length = (OURS, 100, 2_000) if case == "a whole history" else (FIELD, 2, LIMIT)
    if dialect is FIELD:
        in_the_field(wild)
    outside = await interrupted(wild, dialect, steps, length)
    async with client(wild, dialect, pid="second", concurrency=1) as second:
        waiting = asyncio.ensure_future(second.get("root").result())
        await until(waiting.done)
        assert isinstance(waiting.exception(), ReplyTooLong)
        assert "[root]" in str(waiting.exception())
        assert await second.run("other", short) == 10
        await wild.clock.advance(timedelta(hours=1))
        assert 50 < wild.kinds.count("task.acquire") < 200
        told = [record for record in caplog.records if "root" in record.getMessage()]
        assert {record.levelname for record in told} == {"ERROR"}
        assert len(told) == 7
        assert await second.run("another", short) == 10
    async with client(wild, dialect, pid="third", limit=10**8):
        assert await outside.get("root") == steps * length + 1
    await outside._kill()
