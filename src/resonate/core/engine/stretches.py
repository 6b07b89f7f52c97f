"""Promises that carry nothing but a stretch of the record of deliveries.

Law 1: they are counted, without a gap, so that a replay finds them where it can't search.
"""

from __future__ import annotations

from resonate.core import ids
from resonate.core.engine.deliveries import HEADER
from resonate.core.engine.tags import Place, own_tags
from resonate.core.protocol.records import PromiseRecord, Value
from resonate.core.protocol.requests import PromiseCreate


class Stretches:
    """Those of one execution, which stands at `place` and was created at an instant. Mutable."""

    __slots__ = ("_count", "_created_at", "_place")

    def __init__(self, place: Place, created_at: int) -> None:
        self._place = place
        self._created_at = created_at
        self._count = 0

    def learn(self, record: PromiseRecord) -> None:
        """Take note of a promise of the engine's own that is stored."""
        self._count += HEADER in record.param.headers

    def following(self, delivered: str) -> PromiseCreate:
        """Return the request for the next, with this much of the record."""
        self._count += 1
        place = self._place
        promise_id = ids.child(ids.child(place.id, 0, place.separator), self._count, place.separator)
        return PromiseCreate(
            id=promise_id,
            timeout_at=self._created_at,  # born settled: its param is all there is to it
            param=Value({HEADER: delivered}),
            tags=own_tags(promise_id, place.id, place),
        )
