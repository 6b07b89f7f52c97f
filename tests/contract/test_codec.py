from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from attrs import evolve, frozen

from resonate.adapters.codecs.blobs import DirectoryBlobs
from resonate.adapters.codecs.choice import Codecs
from resonate.adapters.codecs.compressed import Compressed
from resonate.adapters.codecs.encrypted import Encrypted
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.codecs.limited import Limited
from resonate.adapters.codecs.offloaded import Offloaded
from resonate.adapters.codecs.pickle import PickleCodec
from resonate.ports.codec import Codec
from resonate.testing.contracts import CODEC_CHECKS, CodecCheck, Samples


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    name: str
    price: Decimal
    tags: list[str] = field(default_factory=list)


@frozen
class Order:
    id: uuid.UUID
    items: tuple[Item, ...]
    placed: datetime
    colour: Colour | None = None


ORDER = Order(
    uuid.UUID(int=7), (Item("a", Decimal("1.10"), ["x"]), Item("b", Decimal(2))), datetime(2025, 1, 1, tzinfo=UTC)
)
SAMPLES = Samples(
    values=[
        (None, Any),
        (None, None),
        (True, bool),
        (0, int),
        (2**70, int),
        (1.5, float),
        (float("inf"), float),
        ("", str),
        ("quotes \" ' \\ \n \x00 🙂", str),
        (b"\x00\xff", bytes),
        ([1, "two", None, [3.5]], Any),
        ({"b": 1, "a": {"deep": [True]}}, Any),
        ([], list[int]),
        ((1, "two"), tuple[int, str]),
        ((1, 2, 3), tuple[int, ...]),
        ({1, 2}, set[int]),
        (frozenset({"a"}), frozenset[str]),
        ({1: "one"}, dict[int, str]),
        (Decimal("1.50"), Decimal),
        (uuid.UUID(int=1), uuid.UUID),
        (datetime(2025, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime),
        (date(2025, 1, 2), date),
        (timedelta(days=1, microseconds=1), timedelta),
        (Colour.RED, Colour),
        (PurePosixPath("/a/b"), PurePosixPath),
        (ORDER, Order),
        ([ORDER], list[Order]),
        ({"k": ORDER}, dict[str, Order]),
        (ORDER, Order | None),
        (None, Order | None),
        ("text", int | str),
    ],
    refused=[("text", int), (1, Order), (lambda: None, Any), ({1: 2}, dict[str, int])],
    misfits=[("text", str, int), ([1], list[int], dict[str, int]), ({"a": 1}, dict[str, int], Order)],
)


@pytest.mark.parametrize("check", CODEC_CHECKS, ids=lambda check: check.__name__)
async def test_json_codec(check: CodecCheck) -> None:
    await check(JsonCodec(), SAMPLES)


KEYS = {"2026-11": bytes(range(32)), "2025": b"k" * 16}
STRICT = evolve(SAMPLES, strict=True)
PICKLED = evolve(
    STRICT, refused=[(lambda: None, Any)], misfits=[], at_home=True, many_ways=True
)  # declared types are not looked at


def offloaded(folder: Path, inner: Codec) -> Codec:
    return Offloaded(inner, DirectoryBlobs(folder / "blobs"), threshold=1_000)


@pytest.mark.parametrize("check", CODEC_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    ("make", "samples"),
    [
        pytest.param(lambda _: Limited(JsonCodec()), SAMPLES, id="limited"),
        pytest.param(lambda _: Compressed(JsonCodec(), format="gzip", above=0), SAMPLES, id="gzip"),
        pytest.param(lambda _: Compressed(JsonCodec(), format="zstd", above=0), SAMPLES, id="zstd"),
        pytest.param(lambda _: Encrypted(JsonCodec(), KEYS), STRICT, id="encrypted"),
        pytest.param(lambda _: Encrypted(Compressed(JsonCodec(), above=0), KEYS), STRICT, id="compressed-encrypted"),
        pytest.param(lambda _: Compressed(Encrypted(JsonCodec(), KEYS), above=0), STRICT, id="encrypted-compressed"),
        pytest.param(lambda folder: offloaded(folder, JsonCodec()), SAMPLES, id="offloaded"),
        pytest.param(lambda folder: offloaded(folder, Encrypted(JsonCodec(), KEYS)), STRICT, id="encrypted-offloaded"),
        pytest.param(lambda _: Codecs(Encrypted(JsonCodec(), KEYS), JsonCodec()), SAMPLES, id="choice"),
        pytest.param(lambda _: PickleCodec(keys=KEYS), PICKLED, id="pickle"),
        pytest.param(lambda _: PickleCodec(allow_unsigned=True), PICKLED, id="unsigned-pickle"),
        pytest.param(lambda _: Encrypted(Compressed(PickleCodec(keys=KEYS)), KEYS), PICKLED, id="encrypted-pickle"),
    ],
)
async def test_codecs_around_codecs(
    check: CodecCheck, make: Callable[[Path], Codec], samples: Samples, tmp_path: Path
) -> None:
    await check(make(tmp_path), samples)
