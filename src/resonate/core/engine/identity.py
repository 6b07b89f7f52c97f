"""What made a promise, written in its param's headers from the first version on, and compared at each replay.

Law 1: two askings are the same if kind, call and arguments are; the call site is told, never compared. Arguments are
    compared as hashes of what was written; where these differ, the values decide (see `sameness`).
Law 2: a promise without these headers (another SDK's) matches anything.
Law 3: an independent execution belongs to nobody: whoever makes the same call attaches to it, for another it is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

from resonate.core.frozen import frozen
from resonate.core.ids import counted
from resonate.core.payload import Opaque, brief, peek, shown
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, Value
from resonate.errors import NondeterminismError

KIND: Final = "resonate:kind"
CALL: Final = "resonate:call"
ARGS: Final = "resonate:args"
SITE: Final = "resonate:site"
CALLER: Final = "resonate:caller"
CODE: Final = "resonate:code"
"""The version of the workflow whose code asked, where its own call names none: a replay runs that version."""
MOST_DIGITS: Final = 13
"""An instant of so many digits, in epoch ms, is one that a calendar has."""


class Kind(StrEnum):
    """What a workflow can ask for."""

    RUN = "run"
    RPC = "rpc"
    DETACHED = "detached"
    SLEEP = "sleep"
    TIMER = "timer"
    PROMISE = "promise"
    RECORD = "record"


def code_of(history: Iterable[PromiseRecord]) -> int | None:
    """Return the version of the code that made these promises, None if they do not say.

    They do where an execution was started by the name of a function alone. What it runs is then the latest version that
    its first worker had, until it has asked for something; from there on it is that version for good.
    """
    for record in history:
        code = record.param.headers.get(CODE, "")
        if code.isascii() and code.isdecimal():
            return int(code)
    return None


RUN: Final = Kind.RUN
_NAMES: Final = {kind: kind.value for kind in Kind}


def fingerprint(data: str | None) -> str:
    """Return a short hash of encoded arguments; equal data, equal hash, in every process."""
    return "" if data is None else blake2b(data.encode(), digest_size=8).hexdigest()


@frozen
class Identity:
    """Who asked for a promise, and what for."""

    kind: Kind
    call: str = ""
    args: str = ""
    site: str = ""

    def on(self, value: Value, more: Mapping[str, str]) -> Value:
        """Return `value` with the headers that carry this, and `more`, beside its own."""
        headers = {**value.headers, KIND: _NAMES[self.kind]}
        if self.call:
            headers[CALL] = self.call
        if self.args:
            headers[ARGS] = self.args
        if self.site:
            headers[SITE] = self.site
        if more:
            headers.update(more)
        return Value(headers, value.data)

    def same_call(self, record: PromiseRecord, *, same_args: bool = False) -> bool:
        """Return whether `record` stands for the same call, whoever made it in whatever way."""
        headers = record.param.headers
        return headers.get(CALL, "") == self.call and (same_args or headers.get(ARGS, "") == self.args)

    def difference(
        self, record: PromiseRecord, *, same_args: bool = False, param: Value = NO_VALUE
    ) -> NondeterminismError | None:
        """Return the error to report if `record` was made by another asking.

        `same_args` says that the arguments are known to be equal, whatever their hashes; `param` has those that are
        asked for with this, so that the error can show them where they are what differs.
        """
        kind = record.param.headers.get(KIND)
        if kind is None or (kind == self.kind and self.same_call(record, same_args=same_args)):
            return None
        headers = record.param.headers
        alike = kind == self.kind and headers.get(CALL, "") == self.call
        recorded = _told(kind, headers, record.param if alike else None)
        asked = _told(self.kind, self.on(NO_VALUE, {}).headers, param if alike else None)
        same_line = alike and headers.get(SITE, "") == self.site
        return NondeterminismError(
            f"The workflow no longer asks for what its history records at {_place(record.id)}: "
            f"recorded is {recorded}; asked for now is {asked}.",
            hint=("" if counted(record.id)[1] else _ONE_ID_FOR_TWO)
            + (_OTHER_ARGUMENTS if same_line else "")
            + "Restore the code, or register the change as a new version; "
            "the execution is kept and goes on once they match.",
            step=record.id,
        )


_ONE_ID_FOR_TWO: Final = "If one run asks for both: give each call an id of its own, or none. If not: "
_OTHER_ARGUMENTS: Final = (
    "If the code is the same: take times, random numbers and new ids from ctx.now(), ctx.random and ctx.uuid4(), "
    "and all else that is not the same twice from a step. If not: "
)


def _place(promise_id: str) -> str:
    """Return where a workflow asked for a promise, counted as it counts: `order:3 (durable call 3 of order)`."""
    before, number = counted(promise_id)
    return f"{promise_id} (durable call {number} of {before[:-1]})" if number else promise_id


def _told(kind: str, headers: Mapping[str, str], param: Value | None) -> str:
    """Return an asking in words, with the arguments in `param` where it is given."""
    call, args, where = (headers.get(key, "") for key in (CALL, ARGS, SITE))
    match kind:
        case Kind.SLEEP:
            text = _sleep(args)
        case Kind.TIMER:
            text = "a timer of asyncio"
        case Kind.RECORD:
            text = f"ctx.{call}"
        case _:
            text = f"{kind} {call}".rstrip() + ("" if param is None else _arguments(param))
    return f"{text} at {where}" if where else text


def _sleep(args: str) -> str:
    """Return how long a sleep is, or until when: `5000`, or `until 1800000000000`."""
    number = args.removeprefix("until ")
    if not (number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS):
        return f"a sleep {args}".rstrip()
    if number == args:
        return f"a sleep of {int(number) / 1000:,.10g} s"
    return f"a sleep until {datetime.fromtimestamp(int(number) / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _arguments(param: Value) -> str:
    """Return the arguments of a call as code has them, if they can be read here: `(42, note="soon")`."""
    match peek(param):
        case Opaque(reason=reason):
            return f" with arguments that are not shown ({reason})"
        case {"args": [*args], **rest}:
            texts = [shown(each) for each in args] + _named(rest.get("kwargs"))
            return f"({brief(', '.join(texts))})"
        case _:
            return ""


def _named(kwargs: Any) -> list[str]:
    match kwargs:
        case {**named}:
            return [f"{name}={shown(each)}" for name, each in named.items()]
        case _:
            return []
