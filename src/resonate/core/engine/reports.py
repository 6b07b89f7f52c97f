"""Which settled promises an execution reports, each once: to whoever makes spans of them.

Law 1: who settles a promise and reports that itself says so in the value's headers (`TELLER`); of all else that an
    execution asked for and that has settled, by whomever, the execution reports.
Law 2: a promise is reported right before the next write of its execution, and that write says so (`TOLD`). So what a
    stored write says is reported was reported, and what none says may not have been: whoever replays reports it.
Law 3: without a lost worker each promise is reported once, however often the execution is replayed and wherever.
    With one, what no stored write speaks of is reported again, and the report is the same: it is of the record.
Law 4: a report may be lost with the process that made it, on its way out. So if the history shows that an attempt was
    cut off in the middle of a step, what it reported shortly before its last sign of life is reported again, likewise.
Law 5: a promise that the engine made for itself is not reported, nor is a detached execution by its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from resonate.core import ids, trace
from resonate.core.engine.deliveries import pack, unpack
from resonate.core.protocol.records import PromiseRecord, Tag, Value

TELLER: Final = "resonate:teller"
TOLD: Final = "resonate:told"
NOW: Final = 0


def signed(value: Value, teller: str) -> Value:
    """Return a promise's outcome with the name of the process that settles it, and will report that."""
    return Value({**value.headers, TELLER: teller}, value.data)


class Reports:
    """See the module's text. Mutable; owned by one execution.

    Args:
        home: the execution's own promise.
        separator: the dialect's.
        suffix: what the execution calls one of its promises, by id.
        observe: hears of each `Settled`.
        shortly_ms: how long before the last sign of life a report may have been lost (Law 4).
        complete: whether all that earlier attempts wrote has been taken in.
    """

    def __init__(
        self,
        home: PromiseRecord,
        separator: str,
        suffix: Callable[[str], str],
        observe: Callable[[trace.LifecycleEvent], None],
        shortly_ms: int = 0,
        *,
        complete: bool = True,
    ) -> None:
        self._home = home
        self._separator = separator
        self._suffix = suffix
        self._observe = observe
        self._shortly_ms = shortly_ms
        self.complete = complete
        self._done: dict[str, int] = {}  # reported, by this attempt or by an earlier one, which said so at an instant
        self._past: dict[str, PromiseRecord] | None = {}  # what earlier ones reported, until this one reports
        self._last = 0
        self._due: dict[str, PromiseRecord] = {}
        self._unrecorded: dict[str, None] = {}  # reported, and no stored write says so

    def learn(self, record: PromiseRecord) -> None:
        """Take in a promise as the store has it: what it says was reported, and whether it is to be."""
        self._told(record.param.headers, record.created_at)
        if record.settled_at is None:
            return
        self._told(record.value.headers, record.settled_at)
        if self._is_ours(record):
            suffix = self._suffix(record.id)
            if suffix not in self._done:
                self._due[suffix] = record
            if self._past is not None:
                self._past[suffix] = record

    def cut_off(self) -> None:
        """Take note that the history shows a step that had begun and has no outcome."""
        past, self._past = self._past, None
        for suffix, record in ({} if past is None else past).items():
            if suffix in self._done and self._done[suffix] > self._last - self._shortly_ms:
                self._due[suffix] = record

    def flush(self) -> str | None:
        """Report what is due; return what the next write is to say, None if that is nothing."""
        due, self._due = self._due, {}
        self._past = None
        for suffix, record in due.items():
            self._done[suffix] = NOW
            self._unrecorded[suffix] = None
            self._observe(trace.Settled(record, self._home))
        return pack(0, self._unrecorded) if self._unrecorded else None

    def _told(self, headers: Mapping[str, str], at: int) -> None:
        self._last = max(self._last, at)
        if TOLD not in headers:
            return
        try:
            _, tokens = unpack(headers[TOLD])
        except ValueError:
            return  # another writer's header
        for token in tokens:
            self._done[token] = at
            self._due.pop(token, None)
            self._unrecorded.pop(token, None)

    def asked_for(self, record: PromiseRecord) -> bool:
        """Say whether it was this execution that asked for a promise, and not another one, of the same id."""
        home, parent = self._home.id, record.tags.get(Tag.PARENT, "")
        return parent == home or any(ids.is_below(one, home, self._separator) for one in (record.id, parent))

    def _is_ours(self, record: PromiseRecord) -> bool:
        if TELLER in record.value.headers or record.tags.get(Tag.ORIGIN) == record.id:
            return False
        return self.asked_for(record) and not ids.is_own(self._home.id, record.id, self._separator)
