"""What made a promise, written in its param's headers from the first version on, and compared at each replay.

Law 1: two askings are the same if kind, call and arguments are; the call site is told, never compared. Arguments are
    compared as hashes of what was written; where these differ, the values decide (see `sameness`).
Law 2: a promise without these headers (another SDK's) matches anything.
Law 3: an independent execution belongs to nobody: whoever makes the same call attaches to it, for another it is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from resonate.core.frozen import frozen
from resonate.core.protocol.records import PromiseRecord, Value
from resonate.errors import NondeterminismError

KIND: Final = "resonate:kind"
CALL: Final = "resonate:call"
ARGS: Final = "resonate:args"
SITE: Final = "resonate:site"
CALLER: Final = "resonate:caller"


class Kind(StrEnum):
    """What a workflow can ask for."""

    RUN = "run"
    RPC = "rpc"
    DETACHED = "detached"
    SLEEP = "sleep"
    TIMER = "timer"
    PROMISE = "promise"
    RECORD = "record"


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

    def difference(self, record: PromiseRecord, *, same_args: bool = False) -> NondeterminismError | None:
        """Return the error to report if `record` was made by another asking.

        `same_args` says that the arguments are known to be equal, whatever their hashes.
        """
        kind = record.param.headers.get(KIND)
        if kind is None or (kind == self.kind and self.same_call(record, same_args=same_args)):
            return None
        headers = record.param.headers
        recorded = _describe(kind, headers.get(CALL, ""), headers.get(ARGS, ""), headers.get(SITE, ""))
        asked = _describe(self.kind, self.call, self.args, self.site)
        return NondeterminismError(
            f"The workflow no longer asks for what its history records at {record.id}: "
            f"recorded is {recorded}; asked for now is {asked}.",
            hint="Restore the code, or register the change as a new version; "
            "the execution is kept and goes on once they match.",
            step=record.id,
        )


def _describe(kind: str, call: str, args: str, site: str) -> str:
    text = f"{kind} {call}".strip()
    if args:
        text += f" with arguments #{args}"
    return f"{text} at {site}" if site else text
