"""Finds the fewest faults with which a run still goes wrong."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from resonate.testing.simulation.faults import Fault, Plan

MOST_TRIES = 300


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Return a part of `plan` with which it still fails, and from which nothing can be left out.

    It leaves out halves first, then smaller parts, then single faults, and makes what is left as short as can be.
    """
    tries = 0

    def try_(faults: tuple[Fault, ...]) -> bool:
        nonlocal tries
        tries += 1
        return tries <= MOST_TRIES and fails(Plan(faults))

    faults = plan.faults
    size = max(1, len(faults) // 2)
    while faults:
        shorter = _without_a_part(faults, size, try_)
        if shorter is not None:
            faults = shorter
            size = max(1, min(size, len(faults) // 2))
        elif size == 1:
            break
        else:
            size //= 2
    for place, fault in enumerate(faults):
        for ms in (0, 1, 1_000):
            smaller = (*faults[:place], evolve(fault, ms=ms), *faults[place + 1 :])
            if ms < fault.ms and try_(smaller):
                faults = smaller
                break
    return Plan(faults)


def _without_a_part(
    faults: tuple[Fault, ...], size: int, try_: Callable[[tuple[Fault, ...]], bool]
) -> tuple[Fault, ...] | None:
    for start in range(0, len(faults), size):
        rest = faults[:start] + faults[start + size :]
        if try_(rest):
            return rest
    return None
