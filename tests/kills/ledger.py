"""What processes write down before they go on, in files that outlive them, and what has to be true of it afterwards.

Law 1: what was once answered stays: a promise is there, and once it is settled, it is settled so for ever.
Law 2: a step whose result was answered does not begin again, in whatever process.
Law 3: each attempt at an execution that came to its end obeys the laws of the trace.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field

from resonate.core import trace
from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.protocol.requests import Request
from resonate.ports.store import Backend, Store
from resonate.testing import Attempts


class Ledger:
    """One process's: a tracer that writes down each event, and a Backend around another whose replies it writes down.

    A line is written before what follows from it happens. It is the kernel's then, and outlives the process.
    """

    def __init__(self, path: Path, inner: Backend) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._inner = inner
        self._told: dict[str, str] = {}

    @property
    def clock(self) -> Any:
        return self._inner.clock

    def connect(self, *, group: str, pid: str) -> Store:
        return _Noting(self, self._inner.connect(group=group, pid=pid))

    def record(self, event: trace.LifecycleEvent) -> None:
        if not isinstance(event, trace.StoreRequest | trace.Settled | trace.Joined):  # these tell of whole promises
            told = attrs.asdict(event, recurse=False, filter=lambda _field, value: isinstance(value, str | int | float))
            self._write(event=type(event).__name__, **told)

    def answered(self, reply: Any) -> None:
        for record in promises_in(reply):
            if self._told.get(record.id) != record.state:
                self._told[record.id] = record.state
                self._write(id=record.id, state=record.state, value=record.value.data)

    def _write(self, **entry: Any) -> None:
        os.write(self._file, json.dumps({"at": time.monotonic_ns(), **entry}).encode() + b"\n")


def promises_in(reply: Any) -> Iterator[PromiseRecord]:
    """Yield the promises that a reply tells of, or those of many replies."""
    if isinstance(reply, PromiseRecord):
        yield reply
    elif isinstance(reply, list | tuple):
        for one in reply:
            yield from promises_in(one)
    elif attrs.has(type(reply)):
        for name in (one.name for one in attrs.fields(type(reply))):
            yield from promises_in(getattr(reply, name))


class _Noting:
    def __init__(self, ledger: Ledger, inner: Store) -> None:
        self._ledger = ledger
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, request: Request[Any]) -> Any:
        reply = await self._inner.send(request)
        self._ledger.answered(reply)
        return reply

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        replies = await self._inner.send_all(requests)
        self._ledger.answered(list(replies))
        return replies


# ---------------------------------------------------------------- afterwards


@define
class Findings:
    """What ledgers say, and what is wrong with it."""

    wrong: list[str] = field(factory=list)
    answers: int = 0
    attempts: int = 0
    cut_off: int = 0
    begun: Counter[str] = field(factory=Counter)
    """How often each step began."""


def look_through(paths: Iterable[Path], records: Mapping[str, PromiseRecord]) -> Findings:
    """Compare all ledgers with each other, and with what is stored in the end."""
    found = Findings()
    settled: dict[str, int] = {}
    begun: list[tuple[int, str]] = []
    for path in paths:
        attempts = Attempts()
        for entry in _entries(path):
            at = entry.pop("at")
            if "event" not in entry:
                found.answers += 1
                found.wrong.extend(_lost(entry, records.get(entry["id"])))
                if entry["state"] != PromiseState.PENDING:
                    settled[entry["id"]] = min(at, settled.get(entry["id"], at))
                continue
            event = _event(entry)
            attempts.record(event)
            if isinstance(event, trace.StepStarted):
                begun.append((at, event.id))
                found.begun[event.id] += 1
        found.wrong.extend(attempts.broken)
        found.attempts += len(attempts.attempts)
        found.cut_off += sum(not attempt.finished for attempt in attempts.attempts)
    found.wrong.extend(
        f"{id} began again after its result was recorded" for at, id in begun if at > settled.get(id, at)
    )
    return found


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # or else its writer died over it
            yield json.loads(line)


def _event(entry: dict[str, Any]) -> Any:
    kind = getattr(trace, entry.pop("event"))
    if isinstance(entry.get("state"), str):
        entry["state"] = PromiseState(entry["state"])
    return kind(**entry)


def _lost(answer: dict[str, Any], record: PromiseRecord | None) -> Iterator[str]:
    if record is None:
        yield f"{answer['id']} was answered, and is lost"
    elif answer["state"] != PromiseState.PENDING and (answer["state"], answer["value"]) != (
        record.state,
        record.value.data,
    ):
        yield f"{answer['id']} was {answer['state']}, and is now {record.state}, or with another result"
