"""Cuts what is long into parts of a bounded length. `itertools.batched` does, from Python 3.12 on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in their order, `size` of them at a time; the last batch may be shorter."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
