"""Tests that are marked to be simulated."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from resonate import UsageError
from resonate.testing.simulation import SimulationFailed, simulate


def simulated(item: pytest.Function, mark: pytest.Mark) -> bool | None:
    """Simulate the workflow that a mark names, or the test itself; return True if it was the test itself."""
    workflow = mark.args[0] if mark.args else inspect.unwrap(item.obj)
    args, settings = mark.args[1:], dict(mark.kwargs)
    if not mark.args:
        _check_is_workflow(item, workflow)
        settings.setdefault("result", _came_to_its_end)
    try:
        report = simulate(workflow, *args, **settings)
    except SimulationFailed as failed:
        pytest.fail(str(failed), pytrace=False)
    if not mark.args:
        return True
    if "simulated" in item.funcargs:
        item.funcargs["simulated"] = report
    return None


def _came_to_its_end(_value: Any) -> bool:
    """Accept whatever a test returns: a failing assertion raises."""
    return True


def _check_is_workflow(item: pytest.Function, workflow: Any) -> None:
    names = list(inspect.signature(workflow).parameters)
    if names != ["ctx"]:
        raise UsageError(
            f"{item.name} is marked to be simulated, and is no workflow: it takes {', '.join(names) or 'nothing'}.",
            hint="Write async def test(ctx: Context), or name the workflow: @pytest.mark.simulate(checkout, ...).",
        )
