"""Where the bars of a timeline lie, and which parts of them are work.

Law 1: a bar begins where its promise was asked for and ends where it was settled, or now, in proportion to time.
Law 2: work is where a step runs; what a workflow spends between its steps, and on timers, promises and other
    executions, is waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from resonate.core.insight.tree import Kind, Node, Status, Tree

Interval: TypeAlias = tuple[int, int]

TICKS: Final = 6
"""At most so many ticks on the axis."""
_FINENESS: Final = 500
"""Gaps shorter than this part of the whole are not drawn: nobody would see them."""
_NICE: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000


@frozen
class Scale:
    """From instants to percent of the width."""

    start: int
    end: int

    def at(self, instant: int) -> float:
        """Return where an instant lies, from 0 to 100."""
        return min(max((instant - self.start) * 100 / (self.end - self.start), 0.0), 100.0)

    def ticks(self) -> Sequence[int]:
        """Return the offsets from the start, in ms, that the axis shows: even and round ones."""
        length = self.end - self.start
        pitch = next((one for one in _pitches() if length <= one * TICKS), length)
        return range(0, length + 1, pitch)


def scale_of(tree: Tree) -> Scale:
    """Return the scale on which all of a tree fits."""
    start = end = tree.root.created_at
    for _, node in tree.nodes():
        start, end = min(start, node.created_at), max(end, end_of(node, tree.now))
    return Scale(start, max(end, start + 1))


def end_of(node: Node, now: int) -> int:
    """Return where a node's bar ends."""
    return max(now if node.settled_at is None else node.settled_at, node.created_at)


def work_of(tree: Tree, scale: Scale) -> Mapping[str, Sequence[Interval]]:
    """Return by node the parts of its bar that are work: in order, apart from each other."""
    gap = (scale.end - scale.start) // _FINENESS
    work: dict[str, Sequence[Interval]] = {}
    for _, node in reversed([*tree.nodes()]):  # children before their parents
        if _works(node):
            work[node.id] = [(node.created_at, end_of(node, tree.now))]
        else:
            inside = [one for child in node.children if child.kind is Kind.CALL for one in work[child.id]]
            work[node.id] = _merged(inside, gap)
    return work


def _works(node: Node) -> bool:
    """Say whether all of a bar is work: a step's, or that of an execution that is a step."""
    if node.children:
        return False
    match node.kind:
        case Kind.CALL:
            return True
        case Kind.EXECUTION:
            return node.status not in {Status.QUEUED, Status.WAITING, Status.HALTED, Status.TIMED_OUT, Status.CANCELED}
        case _:
            return False


def _merged(intervals: Iterable[Interval], gap: int) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _pitches() -> Iterable[int]:
    yield from (number for number in _NICE)
    yield from (number * _SECOND for number in (1, 2, 5, 10, 15, 30))
    yield from (number * _MINUTE for number in (1, 2, 5, 10, 15, 30))
    yield from (number * _HOUR for number in (1, 2, 3, 6, 12))
    for power in range(7):
        yield from (number * 10**power * _DAY for number in (1, 2, 5))
