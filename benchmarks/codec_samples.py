"""What `benchmarks.codecs` has written and read: the same for every library, so nothing here imports one."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

SIZES = (100, 10_000, 1_000_000)
"""Bytes of JSON, nearly."""
_WORDS = """
    order paper garden cheque river silver window letter stone bottle
    winter market engine yellow
""".split()  # noqa: SIM905 - easier to read so
_LEAST = 0.02
"""Seconds of CPU that a measurement takes at least."""


@dataclass
class Line:
    sku: str
    quantity: int
    price: float
    tags: list[str]
    note: str | None


@dataclass
class Basket:
    id: int
    lines: list[Line]


def basket(size: int) -> Basket:
    """Return a basket that is about `size` bytes as JSON."""
    draw = random.Random(size)
    made = Basket(draw.randrange(10**6), [])
    length = len(json.dumps(asdict(made), separators=(",", ":")))
    while length < size * 0.97:
        note = " ".join(draw.choices(_WORDS, k=draw.randrange(8))) if size > 1_000 else None
        line = Line(f"b-{draw.randrange(10**6)}", draw.randrange(9), draw.randrange(10**4) / 100, [], note)
        if size > 1_000:
            line.tags = draw.choices(_WORDS, k=draw.randrange(4))
        made.lines.append(line)
        length += len(json.dumps(asdict(line), separators=(",", ":"))) + 1
    return made


def plain(made: Basket) -> dict[str, Any]:
    """Return the same as dicts and lists."""
    return asdict(made)


def cpu_per_call(work: Callable[[], object]) -> float:
    """Return the seconds of CPU that one call takes, over as many as make them measurable."""
    calls = 1
    while True:
        started = time.process_time()
        for _ in range(calls):
            work()
        spent = time.process_time() - started
        if spent >= _LEAST:
            return spent / calls
        calls = max(calls * 2, int(calls * _LEAST * 1.2 / max(spent, 1e-6)))
