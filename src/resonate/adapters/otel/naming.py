"""What a promise's span is called, and what it says: all of it from the promise's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from opentelemetry.trace import SpanKind

from resonate.core.engine.identity import CALL, KIND, SITE, Kind
from resonate.core.engine.tries import failures_in
from resonate.core.protocol.records import PromiseRecord, Tag

Attributes: TypeAlias = dict[str, str | int]

NAMES: Final[Mapping[str, str]] = {Kind.SLEEP: "sleep", Kind.TIMER: "sleep", Kind.PROMISE: "promise"}


def name_of(record: PromiseRecord) -> str:
    """Return what a promise's span is called: few different names, and never an id."""
    headers = record.param.headers
    call, kind = headers.get(CALL, ""), headers.get(KIND, "")
    return call.partition("@")[0] or NAMES.get(kind) or ("sleep" if record.tags.get(Tag.TIMER) == "true" else "promise")


def kind_of(record: PromiseRecord) -> SpanKind:
    """Return the kind of a promise's span: work that reached a worker through the store is consumed there."""
    timer = record.tags.get(Tag.TIMER) == "true"
    return SpanKind.CONSUMER if Tag.TARGET in record.tags and not timer else SpanKind.INTERNAL


def attributes_of(record: PromiseRecord, home: PromiseRecord) -> Attributes:
    """Return what a span says of its promise."""
    headers = record.param.headers
    function, _, version = headers.get(CALL, "").partition("@")
    found: Attributes = {
        "resonate.promise.id": record.id,
        "resonate.promise.state": record.state.value,
        "resonate.promise.kind": headers.get(KIND, ""),
        "resonate.execution.id": home.id,
        "resonate.origin.id": record.tags.get(Tag.ORIGIN, record.id),
        "resonate.function.name": function,
        "code.file.path": "",
    }
    if version.isdecimal():
        found["resonate.function.version"] = int(version)
    if Tag.TARGET in record.tags:
        found["resonate.target"] = record.tags[Tag.TARGET]
    path, _, line = headers.get(SITE, "").rpartition(":")
    if path and line.isdecimal():
        found["code.file.path"], found["code.line.number"] = path, int(line)
    failures = failures_in(record.value.headers)
    if failures.count:
        found["resonate.tries"] = failures.count + 1
    return {name: value for name, value in found.items() if value != ""}
