"""Whenever an execution is recorded, the code that made it agrees with the recording."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define

from resonate.core.protocol.snapshot import Snapshot
from resonate.ports.store import Backend, Store
from resonate.runtime.relay import Relay
from resonate.testing import Harness
from resonate.testing.replaying import Agreement, replay
from resonate.testing.replaying.snapshots import recordings_of
from tests.simulation.shapes import SHAPES
from tests.simulation.stage import Stage


@define
class Observed:
    """A backend that is looked at after every request."""

    inner: Backend
    harness: Harness
    seen: list[Snapshot]

    def connect(self, *, group: str, pid: str) -> Store:
        return _ObservedStore(self.inner.connect(group=group, pid=pid), self)


class _ObservedStore(Relay):
    def __init__(self, inner: Store, observed: Observed) -> None:
        super().__init__(inner)
        object.__setattr__(self, "_observed", observed)

    async def send(self, request: Any) -> Any:
        reply = await self.inner.send(request)
        self._observed.seen.append(self._observed.harness.snapshot())
        return reply

    async def send_all(self, requests: Any) -> Any:
        return [await self.send(request) for request in requests]


@pytest.mark.parametrize("name", SHAPES)
async def test_the_code_agrees_with_what_it_did_wherever_it_is_recorded(name, dialect):
    shape = SHAPES[name]
    seen: list[Snapshot] = []
    stage = Stage(shape, 0, dialect=dialect, network=lambda harness, server: Observed(server, harness, seen))
    await stage.play()
    separator = ":" if dialect is None else dialect.separator
    functions = {one.__name__: one for one in (shape.fn, *shape.register, *shape.remote)}.values()
    verdicts = [
        replay(recording, functions)
        for snapshot in (*seen, stage.harness.snapshot())
        for recording in recordings_of(snapshot, separator)
    ]
    assert [str(verdict) for verdict in verdicts if not verdict.agrees] == []
    assert verdicts[-1].agreement is Agreement.WHOLE
    assert Agreement.SO_FAR in {verdict.agreement for verdict in verdicts}
