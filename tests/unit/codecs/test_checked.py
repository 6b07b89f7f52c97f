"""A checked codec refuses what would not come back equal, and says which function's which field."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import attrs
import pytest

from resonate import Checked, Codecs, Context, EncodingError, JsonCodec, Never, UsageError
from resonate.adapters.codecs.comparing import difference
from resonate.core.values import UNTYPED, Call, Signature
from resonate.testing import Harness
from resonate.testing.contracts import CODEC_CHECKS, CodecCheck
from tests.contract.test_codec import SAMPLES
from tests.unit.codecs.salted import Salted
from tests.unit.codecs.samples import CASES, label


@pytest.mark.parametrize("check", CODEC_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("codec", [Checked(JsonCodec()), Codecs(Checked(JsonCodec()))], ids=["alone", "chosen"])
async def test_it_is_a_codec(check: CodecCheck, codec: Any) -> None:
    await check(codec, SAMPLES)


@pytest.mark.parametrize(("type_", "values"), CASES, ids=label)
def test_it_writes_all_that_json_writes(type_, values):
    for value in values:
        assert Checked(JsonCodec()).encode(value, type_) == JsonCodec().encode(value, type_)


class Forgetful(Salted):
    """Reads calls without their last argument."""

    def decode_call(self, value, signature_of, *, at=""):
        call = super().decode_call(value, signature_of, at=at)
        return attrs.evolve(call, args=call.args[:-1])


class Unreadable(Salted):
    def decode(self, value, type_=Any, *, at=""):
        return super().decode(value, int, at=at)


class Swapping(Salted):
    """Reads every text as another."""

    def decode(self, value, type_=Any, *, at=""):
        return swapped(super().decode(value, type_, at=at))

    def decode_call(self, value, signature_of, *, at=""):
        call = super().decode_call(value, signature_of, at=at)
        return attrs.evolve(call, args=swapped(call.args), kwargs=swapped(dict(call.kwargs)))


def swapped(value):
    match value:
        case str():
            return value.swapcase()
        case list() | tuple():
            return type(value)(map(swapped, value))
        case dict():
            return {key: swapped(item) for key, item in value.items()}
        case Named():
            return Named(swapped(value.name), value.n)
    return value


@dataclass(frozen=True)
class Named:
    name: str
    n: int = 0


@pytest.mark.parametrize(
    ("value", "type_", "path"),
    [
        ("a", str, ""),
        ([1, "a"], Any, "[1]"),
        ({"a": [{"b c": "d"}]}, Any, "a[0]['b c']"),
        ({"orders": [Named("", 1), Named("x")]}, dict[str, list[Named]], "orders[1].name"),
    ],
)
def test_what_does_not_come_back_equal_is_refused_with_the_path(value, type_, path):
    with pytest.raises(EncodingError, match="does not come back equal") as caught:
        Checked(Swapping()).encode(value, type_, at="p")
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (Call(func="charge", args=(1, "a")), "order"),
        (Call(func="charge", args=(1, [], "", ["x"])), "args[3][0]"),
        (Call(func="charge", args=(1,), kwargs={"order": {"item": "a"}}), "order.item"),
    ],
)
def test_of_a_call_function_and_argument_are_named(call, path):
    signature = Signature(positional=(int, Any), names=("n", "order"), keyword={"order": Any}, rest=Any)
    with pytest.raises(EncodingError) as caught:
        Checked(Swapping()).encode_call(call, signature, at="p")
    assert caught.value.path == path
    assert f"a call of charge: {path} does not come back equal" in str(caught.value)


def test_a_call_that_comes_back_with_fewer_arguments_is_refused():
    with pytest.raises(EncodingError, match="a call of f does not come back equal"):
        Checked(Forgetful()).encode_call(Call(func="f", args=(1, 2)), UNTYPED, at="p")


def test_what_can_not_be_read_back_is_refused():
    with pytest.raises(EncodingError, match=r"can't be read back: .*str where int is declared"):
        Checked(Unreadable()).encode("a", str, at="p")


def test_failures_pass_and_registering_is_handed_on():
    class Gone(Exception):
        pass

    codec = Checked(JsonCodec())
    assert codec.register_error(Gone) is Gone
    assert isinstance(codec.decode_error(codec.encode_error(Gone("x"))), Gone)

    class Mute(Salted):
        register_error: Any = None

    for mute in (Checked(Mute()), Codecs(Mute())):
        with pytest.raises(UsageError, match="Mute has no register_error"):
            mute.register_error(Gone)


# ---------------------------------------------------------------- in tests of workflows


async def price(order: Named) -> Named:
    return Named("x" if order.name == "odd" else "", 1)


async def test_the_harness_checks_every_value_and_names_step_and_field():
    async def flow(ctx: Context, name: str) -> str:
        try:
            await ctx.run(price, Named(name))
        except EncodingError as error:
            return f"{error}"
        return "fine"

    async with Harness(codec=Swapping(), retry=Never()) as harness:
        client = await harness.open(harness.client())
        client.register(flow)
        with pytest.raises(EncodingError, match="a call of flow: name does not come back equal"):
            await client.run("a", flow, "odd")
    async with Harness(codec=Swapping(), retry=Never(), check=False) as harness:
        client = await harness.open(harness.client())
        client.register(flow)
        assert await client.run("a", flow, "1") == "FINE"


# ---------------------------------------------------------------- comparing


class Row(NamedTuple):
    a: int
    b: float


class Plain:
    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)


class Odd:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class Slotted:
    __slots__ = ("a",)


@attrs.define(eq=False)
class Nameless:
    x: Any


@dataclass
class Half:
    x: Any
    y: Any = field(default=0, compare=False)


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        (1, 1.0, None),
        (1, "1", ""),
        (math.nan, math.nan, None),
        ([math.nan, {"a": float("nan")}], [math.nan, {"a": float("nan")}], None),
        ([1, 2], [1], ""),
        (Row(1, 2.0), Row(1, 3.0), "[1]"),
        (deque([1, 2]), deque([1, 3]), "[1]"),
        ({"a": 1}, {"b": 1}, ""),
        ({"a": {"x y": 1}}, {"a": {"x y": 2}}, ".a['x y']"),
        ({1: 1}, {1: 2}, "[1]"),
        ({1}, {2}, ""),
        (Plain(a=[1]), Plain(a=[1]), None),
        (Plain(a=[1]), Plain(a=[2]), ".a[0]"),
        (Plain(a=1), Plain(), ".a"),
        (Nameless(1), Nameless(1), None),
        (Nameless([1, 2]), Nameless([1, 3]), ".x[1]"),
        (Half(1, 2), Half(1, 3), None),
        (Half(1, 2), Half(2, 2), ".x"),
        (Half(float("nan")), Half(float("nan")), None),
        (Odd(), Odd(), ""),
        (Slotted(), Slotted(), ""),
    ],
    ids=lambda one: f"{one}".partition(" at 0x")[0],
)
def test_where_values_differ(one, other, path):
    assert difference(one, other) == path


def test_what_contains_itself_is_compared_to_some_depth():
    one: list[Any] = [1]
    other: list[Any] = [1]
    one.append(one)
    other.append(other)
    assert difference(one, other) is None
