"""A value of any declared type comes back equal through every codec, and a workflow sees the same live and replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resonate import (
    Checked,
    Codecs,
    Compressed,
    Context,
    EncodingError,
    Encrypted,
    JsonCodec,
    Limited,
    Never,
    Offloaded,
    PickleCodec,
)
from resonate.core.values import Call, Codec, Signature
from resonate.testing import Harness
from tests.property.shapes import Shape, same, shapes
from tests.unit.codecs.salted import Salted

pytestmark = pytest.mark.slow


KEYS = {"1": bytes(range(32))}


class InMemory:
    """Blobs that are kept in a dict."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> None:
        self._kept[key] = content

    def get(self, key: str, size: int) -> bytes:
        return self._kept[key][: size + 1]


CODECS: dict[str, Callable[[], Codec]] = {
    "json": JsonCodec,
    "checked": lambda: Checked(JsonCodec()),
    "wrapped": Salted,
    "wrapped twice": lambda: Salted(Salted(), "again"),
    "chosen": lambda: Codecs(Salted(), JsonCodec()),
    "gzip, limited": lambda: Limited(Compressed(JsonCodec(), format="gzip", above=0)),
    "zstd": lambda: Compressed(JsonCodec(), format="zstd", above=0),
    "encrypted": lambda: Encrypted(JsonCodec(), KEYS),
    "compressed, encrypted, offloaded": lambda: Offloaded(Encrypted(Compressed(JsonCodec()), KEYS), InMemory(), 100),
    "pickle": lambda: PickleCodec(keys=KEYS),
    "encrypted pickle, beside json": lambda: Codecs(Encrypted(PickleCodec(keys=KEYS), KEYS), JsonCodec()),
}
"""Each codec, and each way to put codecs together."""

MANY = 100
"""At least so many different shapes are tried with each."""


@pytest.mark.parametrize("name", CODECS)
def test_values_of_a_hundred_shapes_come_back_equal(name):
    codec = CODECS[name]()
    written, seen = 0, set()

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data(), shapes)
    def check(data: st.DataObject, shape: Shape) -> None:
        nonlocal written
        value = data.draw(shape.values)
        signature = Signature(positional=(shape.type_,), names=("value",), keyword={"value": shape.type_})
        call = Call(func="f", args=(value,), kwargs={"value": value})
        try:
            stored, param = codec.encode(value, shape.type_, at="p"), codec.encode_call(call, signature, at="p")
        except EncodingError:
            assert not shape.certain
            return
        written += 1
        seen.add(str(shape.type_))
        assert same(codec.decode(stored, shape.type_, at="p"), value)
        back = codec.decode_call(param, lambda _name, _version: signature, at="p")
        assert same((back.args, dict(back.kwargs)), (call.args, dict(call.kwargs)))

    check()
    assert len(seen) >= MANY
    assert written >= 2 * MANY


@pytest.mark.parametrize("name", CODECS)
async def test_a_workflow_sees_the_same_value_live_and_in_every_replay(name):
    drawn: list[tuple[Shape, Any]] = []

    @settings(max_examples=220, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data(), shapes)
    def draw(data: st.DataObject, shape: Shape) -> None:
        drawn.append((shape, data.draw(shape.values)))

    draw()
    async with Harness(continuations=0, codec=CODECS[name](), retry=Never(), check=False) as harness:
        client = await harness.open(harness.client())
        for number, (shape, value) in enumerate(drawn):
            await live_and_replayed(client, f"e{number}", shape, value)
    assert len({str(shape.type_) for shape, _ in drawn}) >= MANY


async def live_and_replayed(client: Any, id: str, shape: Shape, value: Any) -> None:
    seen: list[Any] = []

    async def step(value):
        seen.append(value)
        return value

    async def flow(ctx, value):
        seen.append(value)
        for call in (ctx.run, ctx.rpc):
            seen.append(await call(step, value))
            await ctx.sleep(1)
        return value

    step.__annotations__ = {"value": shape.type_, "return": shape.type_}
    flow.__annotations__ = {"ctx": Context, "value": shape.type_, "return": shape.type_}
    client.register(name=f"step-{id}")(step)
    client.register(name=f"flow-{id}")(flow)
    try:
        result = await client.run(id, flow, value)
    except EncodingError:
        assert not shape.certain
        return
    assert len(seen) >= 9, "it was replayed"
    assert all(same(each, value) for each in [*seen, result])
