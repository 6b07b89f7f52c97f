"""A run that went wrong, told so that it can be understood and repeated."""

from __future__ import annotations

from typing import Any

from resonate.errors import ResonateError
from resonate.testing.simulation.cluster import Run
from resonate.testing.simulation.faults import Plan

MOST_LINES = 150


class SimulationFailed(ResonateError, AssertionError):
    """A simulated run did what no run may do. Its text is the story, with the line that repeats it.

    Args:
        message: what went wrong.
        seed: the seed of the run.
        faults: the fewest faults with which it goes wrong.
        run: that run.
        replay: the line that repeats it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        seed: int = 0,
        faults: Plan | None = None,
        run: Run | None = None,
        replay: str = "",
        **more: Any,
    ) -> None:
        super().__init__(message, **more)
        self.seed = seed
        self.faults = faults or Plan()
        self.run = run
        self.replay = replay

    def __str__(self) -> str:
        """Tell the story."""
        lines = [super().__str__()]
        if self.run is not None:
            lines += ["", "What went wrong:", *(f"  {finding.text}" for finding in self.run.findings[:10])]
            lines += ["", "The faults that it takes:", *_listed([fault.told for fault in self.faults.faults])]
            lines += ["", "What happened:", *_cut([str(line) for line in self.run.timeline if not line.detail])]
        if self.replay:
            lines += ["", "Run it again by:", f"  {self.replay}"]
        return "\n".join(lines)


def _listed(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines] or ["  none: it goes wrong by itself"]


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= MOST_LINES:
        return [f"  {line}" for line in lines]
    half = MOST_LINES // 2
    left = [f"  {line}" for line in lines[:half]]
    return [*left, f"  ... {len(lines) - 2 * half} lines ...", *(f"  {line}" for line in lines[-half:])]
