"""All stores answer alike, whatever is asked of them, and hold the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from resonate.adapters.memory import MemoryServer
from resonate.adapters.sqlite import SqliteServer
from resonate.ports.clock import Clock
from tests.property.agreement import SETTINGS, AgreementMachine, Server

DEFAULT_STEPS = 20_000
STEPS_PER_EXAMPLE = 50


@pytest.mark.slow
def test_memory_and_sqlite_agree(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    asked = pytestconfig.getoption("machine_steps", None)
    files = count()

    def in_memory(clock: Clock) -> Server:
        return MemoryServer(clock, SETTINGS)

    def in_a_file(clock: Clock) -> Server:
        return SqliteServer(tmp_path / f"{next(files)}.db", clock=clock, settings=SETTINGS, durability="normal")

    class Run(AgreementMachine):
        steps: ClassVar[int] = 0
        make: ClassVar[Mapping[str, Callable[[Clock], Server]]] = {"memory": in_memory, "sqlite": in_a_file}

    run_state_machine_as_test(
        Run,
        settings=settings(
            max_examples=(asked or DEFAULT_STEPS) * 5 // 4 // STEPS_PER_EXAMPLE,
            stateful_step_count=STEPS_PER_EXAMPLE,
            derandomize=asked is None,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{Run.steps} steps")  # noqa: T201 - shown by pytest -rP
    assert Run.steps >= (asked or DEFAULT_STEPS)
