"""The writes of an execution: asked for during a turn, sent together at its end, acknowledged one by one.

Law 1: at most one write for a promise waits to be sent; a later one (its settlement) replaces it only if it was not.
Law 2: a write that depends on what the workflow was told carries that record; see `deliveries`.
Law 3: what a write carried counts as recorded only once the store is seen to have kept that very write.
Law 4: where a replay can't be given all that was ever written before it starts, a stretch of the record has a promise
    of its own, with an id that can be guessed, and what depends on it is written after it.
Law 5: what a write carried and the store did not keep, as the promise was there before, is not carried by write after
    write: once it is much, it has a promise of its own, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from attrs import define

from resonate.core.engine import commands as do
from resonate.core.engine.children import Child, Role
from resonate.core.engine.deliveries import HEADER, Deliveries
from resonate.core.engine.reports import TOLD, Reports
from resonate.core.engine.stretches import Stretches
from resonate.core.protocol.records import NO_HEADERS, PromiseRecord, PromiseState, Value
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle

FEW = 8
"""Up to so many unrecorded deliveries are simply written with each write of a turn."""
NOTHING: tuple[int, str | None] = (0, None)


@define
class Creation:
    """A child's promise that is asked for and not sent yet. `after` is how long the record was when it was."""

    child: Child
    param: Value
    timeout_at: int
    tags: Mapping[str, str]
    after: int | None = None
    carries: ClassVar[bool] = True

    def sealed(self, delivered: str | None, told: str | None) -> PromiseCreate:
        """Return the request to send, with identity, deliveries and reports in its headers."""
        child = self.child
        child.written = delivered
        more = NO_HEADERS if delivered is None else {HEADER: delivered}
        if told is not None:
            more = {**more, TOLD: told}
        param = child.identity.on(self.param, more)
        return PromiseCreate(child.id, self.timeout_at, param, self.tags)


@define
class Settlement:
    """A child's outcome that is not sent yet; `carries` says that it depends on what was delivered."""

    child: Child
    state: PromiseState
    value: Value
    carries: bool
    after: int | None = None

    def sealed(self, delivered: str | None, told: str | None) -> PromiseSettle:
        """Return the request to send, with deliveries and reports in its headers."""
        value = self.value
        if delivered is not None:
            value = Value({**value.headers, HEADER: delivered}, value.data)
        if told is not None:
            value = Value({**value.headers, TOLD: told}, value.data)
        return PromiseSettle(self.child.id, self.state, value)


@define
class Own:
    """A promise that the engine makes for itself."""

    request: PromiseCreate
    after: int | None = None
    carries: ClassVar[bool] = False

    def sealed(self, delivered: str | None, told: str | None) -> PromiseCreate:
        """Return the request to send."""
        del delivered, told
        return self.request


class Writes:
    """See the module's text. Mutable; owned by one execution.

    Args:
        deliveries: the record.
        stretches: makes the promise for a stretch of the record, where it has one of its own.
        apart: whether it always has (Law 4).
        reports: of what has settled; a write says which were made before it was sent. None if there are none.
    """

    __slots__ = ("_apart", "_deliveries", "_drafts", "_reports", "_stretch", "_stretches", "_unkept", "under_way")

    def __init__(
        self,
        deliveries: Deliveries,
        stretches: Stretches,
        reports: Reports | None = None,
        *,
        apart: bool = False,
    ) -> None:
        self._deliveries = deliveries
        self._stretches = stretches
        self._apart = apart
        self._unkept = False  # the store did not keep what was carried last
        self._reports = reports
        self._drafts: dict[str, Creation | Settlement | Own] = {}
        self.under_way: dict[str, tuple[int, str | None]] = {}
        """What the store has yet to answer, and what each carries of the record: up to where, as which text."""
        self._stretch: str | None = None  # the promise of a stretch that is under way

    def create(self, child: Child, param: Value, timeout_at: int, tags: Mapping[str, str]) -> None:
        """Ask for a child's promise to be created."""
        self._drafts[child.id] = Creation(child, param, timeout_at, tags)

    def settle(self, child: Child, state: PromiseState, value: Value, *, carries: bool) -> None:
        """Ask for a child's promise to be settled; `carries` says that this depends on what was delivered."""
        self._drafts[child.id] = Settlement(child, state, value, carries)

    def own(self, request: PromiseCreate) -> None:
        """Ask for a promise of the engine's own."""
        self._drafts[request.id] = Own(request)

    def withdraw(self, promise_id: str) -> bool:
        """Take back what was not sent yet; return whether there was anything."""
        return self._drafts.pop(promise_id, None) is not None

    def clear(self) -> None:
        """Send nothing more, and wait for no answer."""
        self._drafts.clear()
        self.under_way.clear()

    def acknowledged(self, record: PromiseRecord) -> None:
        """Take note of an answer: what the write carried is recorded only if it is what the store kept."""
        mark, header = self.under_way.pop(record.id, NOTHING)
        if header is not None and header in {record.param.headers.get(HEADER), record.value.headers.get(HEADER)}:
            self._deliveries.recorded(mark)
            self._unkept = False
        elif header is not None:
            self._unkept = True
        if record.id == self._stretch:
            self._stretch = None

    def refused(self, promise_id: str) -> None:
        """Take note that the store refused a write."""
        self.under_way.pop(promise_id, None)

    def send(self) -> list[do.Command]:
        """Return what is to be sent now, each write with the deliveries that it depends on and that are not recorded.

        Many deliveries are not written many times: then one write goes ahead with them, and the rest follow it.
        """
        if not self._drafts:
            return []
        if self._apart:
            return self._send_after()
        if len(self._drafts) == 1 and not self._deliveries.pending and self._reports is None:  # as in most turns
            promise_id, draft = self._drafts.popitem()
            self.under_way[promise_id] = NOTHING
            return [do.Write(draft.sealed(None, None))]
        out: list[do.Command] = []
        drafts, self._drafts = self._drafts, {}
        # It is as long as what is pending, and a deep chain of calls that return one after another writes none of it.
        carry = self._deliveries.pending and any(draft.carries for draft in drafts.values())
        header = self._deliveries.header() if carry else None
        alone, mark, ahead = False, 0, False
        if header is not None:
            alone, mark = self._deliveries.pending > FEW, self._deliveries.mark
        if alone and self._stretch is not None:
            ahead = True
        elif alone and self._unkept and header is not None:
            ahead = True
            out.append(self._write_stretch(header, mark))
        told = None if self._reports is None else self._told(self._reports, drafts.values())
        for promise_id, draft in drafts.items():
            if header is None or not draft.carries:
                self.under_way[promise_id] = NOTHING
                out.append(do.Write(draft.sealed(None, told)))
            elif alone and ahead:
                self._drafts[promise_id] = draft
                continue
            else:
                ahead = True
                self.under_way[promise_id] = (mark, header)
                out.append(do.Write(draft.sealed(header, told)))
            if not isinstance(draft, Own):
                told = None  # one of them says it
        return out

    def _told(self, reports: Reports, drafts: Iterable[Creation | Settlement | Own]) -> str | None:
        """Report what is due before these are sent, if one of them can say so; return what it is to say.

        While it is not all known what earlier attempts reported, that waits, but for what lies in a workflow that is
        over: nobody will come upon it again.
        """
        sayers = [draft for draft in drafts if not isinstance(draft, Own)]
        if not sayers or not (reports.complete or any(_ends_workflow(draft) for draft in sayers)):
            return None
        return reports.flush()

    def _write_stretch(self, header: str, mark: int) -> do.Write:
        request = self._stretches.following(header)
        self._stretch = request.id
        self.under_way[request.id] = (mark, header)
        return do.Write(request)

    def _send_after(self) -> list[do.Command]:
        """Return what depends on nothing that is not recorded, and the promise of the stretch that is to be."""
        out: list[do.Command] = []
        mark, durable = self._deliveries.mark, self._deliveries.durable
        drafts, self._drafts = self._drafts, {}
        for promise_id, draft in drafts.items():
            if draft.after is None:
                draft.after = mark if draft.carries else 0
            if draft.after > durable:
                self._drafts[promise_id] = draft
        told = None
        if self._reports is not None:
            ready = [draft for promise_id, draft in drafts.items() if promise_id not in self._drafts]
            told = self._told(self._reports, ready)
        for promise_id, draft in drafts.items():
            if promise_id not in self._drafts:
                self.under_way[promise_id] = NOTHING
                out.append(do.Write(draft.sealed(None, told)))
                if not isinstance(draft, Own):
                    told = None
        header = self._deliveries.header() if self._drafts and self._stretch is None else None
        if header is not None:
            out.append(self._write_stretch(header, mark))
        return out


def _ends_workflow(draft: Creation | Settlement | Own) -> bool:
    return isinstance(draft, Settlement) and draft.child.role is Role.WORKFLOW
