"""All stores answer alike, whatever is asked of them, and hold the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import frozen
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from resonate.adapters.http import HttpBackend
from resonate.adapters.memory import MemoryServer
from resonate.adapters.sqlite import SqliteServer
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.snapshot import Snapshot
from resonate.ports.clock import Clock
from resonate.ports.store import Store
from resonate.testing import HttpFront
from tests.property.agreement import SETTINGS, AgreementMachine, Server

DEFAULT_STEPS = 10_000
STEPS_OVER_HTTP = 2_000
STEPS_PER_EXAMPLE = 50


@frozen
class OverHttp:
    """A server that is reached over HTTP, within the process."""

    inner: Server
    clock: Clock

    def connect(self, *, group: str, pid: str) -> Store:
        front = HttpFront(self.inner)
        backend = HttpBackend("http://front", client=front.client, clock=self.clock, dialect=OURS)
        return backend.connect(group=group, pid=pid)

    def snapshot(self) -> Snapshot:
        return self.inner.snapshot()


def run(machine: type[AgreementMachine], steps: int, *, same_each_time: bool) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=steps * 5 // 4 // STEPS_PER_EXAMPLE,
            stateful_step_count=STEPS_PER_EXAMPLE,
            derandomize=same_each_time,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{machine.steps} steps")  # noqa: T201 - shown by pytest -rP
    assert machine.steps >= steps


def in_memory(clock: Clock) -> Server:
    return MemoryServer(clock, SETTINGS)


def files(folder: Path) -> Callable[[Clock], Server]:
    numbers = count()

    def in_a_file(clock: Clock) -> Server:
        return SqliteServer(folder / f"{next(numbers)}.db", clock=clock, settings=SETTINGS, durability="normal")

    return in_a_file


@pytest.mark.slow
def test_memory_and_sqlite_agree(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    asked = pytestconfig.getoption("machine_steps", None)

    class Run(AgreementMachine):
        steps: ClassVar[int] = 0
        make: ClassVar[Mapping[str, Callable[[Clock], Server]]] = {"memory": in_memory, "sqlite": files(tmp_path)}

    run(Run, asked or DEFAULT_STEPS, same_each_time=asked is None)


@pytest.mark.slow
def test_both_agree_over_http(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    asked = pytestconfig.getoption("machine_steps", None)
    in_a_file = files(tmp_path)

    class Run(AgreementMachine):
        steps: ClassVar[int] = 0
        reads_at_once: ClassVar[bool] = True
        make: ClassVar[Mapping[str, Callable[[Clock], Server]]] = {
            "memory": in_memory,
            "memory over HTTP": lambda clock: OverHttp(in_memory(clock), clock),
            "sqlite over HTTP": lambda clock: OverHttp(in_a_file(clock), clock),
        }

    run(Run, asked or STEPS_OVER_HTTP, same_each_time=asked is None)
