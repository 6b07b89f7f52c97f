"""Every execution that a test made is closed at its end, as a worker would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.engine.world import World


@pytest.fixture(autouse=True)
def _closed_worlds() -> Iterator[None]:
    World.alive.clear()
    yield
    for world in World.alive:
        world.execution.close()
    World.alive.clear()
