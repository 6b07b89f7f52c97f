"""The machine keeps every named property, whatever is asked of it, whenever.

The default run is the same each time. `--machine-steps=N`, or RESONATE_MACHINE_STEPS=N in the environment, asks for
at least N steps that are new each time.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from resonate.core.protocol.properties import PROPERTIES
from tests.property.machine import ProtocolMachine

DEFAULT_STEPS = 20_000
STEPS_PER_EXAMPLE = 50

NEVER_BITE: dict[str, str] = {}


def asked_steps(config: pytest.Config) -> int | None:
    asked = config.getoption("machine_steps", None) or os.environ.get("RESONATE_MACHINE_STEPS")
    return int(asked) if asked else None


def run(steps: int, *, same_each_time: bool) -> tuple[int, Counter[str]]:
    class Run(ProtocolMachine):
        steps: ClassVar[int] = 0
        bites: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(
        Run,
        settings=settings(
            max_examples=steps * 5 // 4 // STEPS_PER_EXAMPLE,
            stateful_step_count=STEPS_PER_EXAMPLE,
            derandomize=same_each_time,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],  # explaining traces every line, which makes shrinking crawl
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Run.steps, Run.bites


@pytest.mark.slow
def test_the_machine_keeps_every_property(pytestconfig: pytest.Config) -> None:
    asked = asked_steps(pytestconfig)
    steps, bites = run(asked or DEFAULT_STEPS, same_each_time=asked is None)
    for p in sorted(PROPERTIES, key=lambda p: bites[p.name]):
        print(f"{bites[p.name]:8d} {p.name}")  # noqa: T201 - shown by pytest -rP, and when the test fails
    print(f"{steps:8d} steps")  # noqa: T201 - as above
    assert steps >= (asked or DEFAULT_STEPS)
    if asked is None:
        assert {p.name for p in PROPERTIES if not bites[p.name]} == set(NEVER_BITE)
