"""What is used as it is once it is written, and what is read back: a workflow sees live what it sees in a replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from cattrs import Converter

from resonate import Context, JsonCodec, MemoryServer, Resonate
from resonate.core.protocol.records import TaskState, Value


class Cents(int):
    """What a hook makes of an int."""


def kind(value: Any) -> str:
    return f"{type(value).__name__} {value}"


async def undeclared(value):  # type: ignore[no-untyped-def]  # that is its point
    return [kind(value), value]


async def floats(value: float) -> float:
    assert isinstance(value, float)
    return 2 if value else 0


async def optional(value: int | None) -> int | None:
    return value


async def grows(values: list[int]) -> list[int]:
    values.append(3)
    return values


async def number(value: int) -> int:
    return value + 1


async def twice(ctx: Context, step: str, value: Any) -> list[str]:
    """Call a step, then wait for something from outside: what follows is seen live, or in a replay."""
    first = await ctx.run(step, value)
    seen = [kind(first), kind(value)]
    await (await ctx.promise())
    return [*seen, kind(await ctx.run(step, first if step != "undeclared" else value))]


class Loud(JsonCodec):
    """Reads texts as others wrote them, louder."""

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        read = super().decode(value, type_, at=at)
        return read.upper() if isinstance(read, str) else read


def hooked() -> JsonCodec:
    converter = Converter()
    converter.register_structure_hook(int, lambda given, _: Cents(given))
    converter.register_unstructure_hook(int, int)
    return JsonCodec(converter)


async def outcome(codec: Any, step: Callable[..., Any], value: Any, *, continuations: int) -> list[str]:
    server = MemoryServer()
    async with Resonate(server, codec=codec(), continuations=continuations) as client:
        client.register(step)
        client.register(twice)
        handle = await client.begin_run("w", twice, step.__name__, value)
        async with asyncio.timeout(60):
            while server.snapshot().tasks[0].state not in {TaskState.SUSPENDED, TaskState.FULFILLED}:  # noqa: ASYNC110 - a server has no event for it
                await asyncio.sleep(0)
            await client.promises.resolve("w:2")
            found: list[str] = await handle.result()
        return found


@pytest.mark.parametrize(
    ("codec", "step", "value", "sees"),
    [
        (JsonCodec, number, 1, ["int 2", "int 1", "int 3"]),
        (JsonCodec, optional, None, ["NoneType None", "NoneType None", "NoneType None"]),
        (JsonCodec, floats, 1, ["float 2.0", "int 1", "float 2.0"]),
        (JsonCodec, undeclared, True, ["list ['bool True', True]", "bool True", "list ['bool True', True]"]),
        (JsonCodec, grows, [1], ["list [1, 3]", "list [1]", "list [1, 3, 3]"]),
        (Loud, undeclared, "a", None),
        (hooked, number, 1, ["Cents 2", "int 1", "Cents 3"]),
    ],
)
async def test_a_workflow_sees_live_what_it_sees_in_a_replay(
    codec: Any, step: Callable[..., Any], value: Any, sees: list[str] | None
) -> None:
    live = await outcome(codec, step, value, continuations=100)
    replayed = await outcome(codec, step, value, continuations=0)
    assert live == replayed
    assert sees is None or live == sees


async def said(value: str) -> str:
    return value


async def test_what_a_codec_reads_as_it_likes_is_read() -> None:
    async def talks(ctx: Context) -> str:
        return await ctx.run(said, "quiet")

    async with Resonate(MemoryServer(), codec=Loud()) as client:
        client.register(talks)
        assert await client.run("w", talks) == "QUIET"


def test_classes_with_a_hook_are_not_plain() -> None:
    assert JsonCodec().plain == {int, str, bool, type(None)}
    assert hooked().plain == {str, type(None)}  # a bool is an int
    assert Loud().plain == set()
