"""Ids in either grammar, and what a grammar can't carry."""

from __future__ import annotations

import pytest

from resonate import Context, UsageError
from resonate.core import ids
from resonate.testing import OLDER, Harness
from tests.unit.dialects.conftest import quiet


async def double(n: int) -> int:
    return 2 * n


async def nested(ctx: Context, n: int) -> int:
    return await ctx.run(double, n)


async def everything(ctx: Context) -> str:
    await ctx.run(nested, 1)
    await ctx.rpc(nested, 2)
    await ctx.sleep(1)
    return str(await ctx.detached(double, 3))


@pytest.fixture
async def older():
    async with Harness(dialect=quiet(OLDER)) as harness:
        yield harness


async def test_the_older_grammar_has_dots_throughout(older):
    client = await older.open(older.client())
    for function in (double, nested, everything):
        client.register(function)
    started = await client.run("root", everything)
    await client.get(started)
    stored = sorted(promise.record.id for promise in older.snapshot().promises)
    assert stored == sorted(["root", "root.1", "root.1.1", "root.2", "root.2.1", "root.3", started])
    assert started.startswith("root~")
    assert "." not in started


@pytest.mark.parametrize("way", ["run", "begin_run", "rpc", "begin_rpc", "schedule", "promise"])
@pytest.mark.parametrize("bad", ["a{}b", "", "a\0", "x" * 600, "\ud800"])
async def test_a_root_id_that_can_t_be_carried_is_refused_before_anything_is_sent(harness, meter, way, bad):
    client = await harness.open(harness.client(backend=meter))
    client.register(double)
    meter.clear()
    chosen = bad.format(harness.backend.dialect.separator)
    if way == "schedule":
        asked = client.schedule(chosen, "0 9 * * MON", double, 1)
    elif way == "promise":
        asked = client.promises.create(chosen)
    else:
        asked = getattr(client, way)(chosen, double, 1)
    with pytest.raises(UsageError, match="execution"):
        await asked
    assert meter.total == 0


async def test_what_separates_in_the_other_grammar_does_not_here(older):
    client = await older.open(older.client())
    client.register(double)
    assert await client.run("shop:42", double, 1) == 2


@pytest.mark.parametrize(("bad", "why"), [("a{}b", "separates"), ("\ud800", "no store can carry")])
async def test_a_detached_execution_s_id_is_checked_like_a_root_s(harness, bad, why):
    client = await harness.open(harness.client())
    chosen = bad.format(harness.backend.dialect.separator)

    @client.register
    async def workflow(ctx: Context) -> str:
        try:
            return str(await ctx.options(id=chosen).detached(double, 1))
        except UsageError as error:
            return str(error)

    assert why in await client.run("root", workflow)
    assert [promise.record.id for promise in harness.snapshot().promises] == ["root"]


async def test_a_detached_execution_may_be_named_like_a_release(harness):
    name = "release-1.0" if harness.backend.dialect.separator == ":" else "release-1:0"
    client = await harness.open(harness.client(continuations=0))

    @client.register
    async def workflow(ctx: Context) -> str:
        started = await ctx.options(id=name).detached(double, 1)
        await ctx.sleep(1)
        return started

    client.register(double)
    assert await client.run("root", workflow) == name
    assert await client.get(name) == 2


@pytest.mark.parametrize("kind", ["run", "rpc", "sleep", "promise"])
async def test_a_chosen_id_is_carried_at_any_depth(harness, kind):
    # Its parent tag can't be the nested workflow's id: servers want that to be a prefix of it.
    separator = harness.backend.dialect.separator
    client = await harness.open(harness.client())
    client.register(double)
    chosen = f"root{separator}mine"

    @client.register
    async def inner(ctx: Context) -> str:
        here = ctx.options(id=chosen)
        match kind:
            case "run":
                await here.run(double, 1)
            case "rpc":
                await here.rpc(double, 1)
            case "sleep":
                await here.sleep(1)
            case _:
                return (await here.promise()).id
        return chosen

    @client.register
    async def outer(ctx: Context) -> str:
        return await ctx.run(inner)

    assert await client.run("root", outer) == chosen


@pytest.mark.parametrize("bad", ["other{}x", "root", "root{}0", "root{}3.0", "root{}0.1", "root{}\ud800"])
async def test_a_chosen_id_is_below_the_execution_and_not_the_engine_s_own(harness, bad):
    chosen = bad.format(harness.backend.dialect.separator)
    client = await harness.open(harness.client())

    @client.register
    async def workflow(ctx: Context) -> str:
        try:
            return str(await ctx.options(id=chosen).run(double, 1))
        except UsageError as error:
            return f"refused: {error}"

    assert (await client.run("root", workflow)).startswith("refused")


@pytest.mark.parametrize("separator", [":", "."])
def test_own_ids_are_told_from_those_that_a_workflow_counts(separator):
    deep = ids.child(ids.child("root", 3, separator), 10, separator)
    zero = ids.child("root", 0, separator)
    for own in (zero, ids.child(zero, 7, separator), ids.child(deep, 0, separator)):
        assert ids.is_own("root", own, separator)
    assert not ids.is_own("root", deep, separator)
    assert not ids.is_own(zero, ids.child(zero, 1, separator), separator)


@pytest.mark.parametrize("separator", [":", "."])
def test_siblings_are_counted(separator):
    assert ids.counted(f"root{separator}12", separator) == (f"root{separator}", 12)
    assert ids.counted(f"root{separator}1.2", separator) == (f"root{separator}1.", 2)
    for uncounted in ("root", f"root{separator}name", f"root{separator}1.0", f"root{separator}"):
        assert ids.counted(uncounted, separator) == (uncounted, 0)
