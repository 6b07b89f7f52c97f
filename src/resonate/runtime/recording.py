"""A recording: one execution with all that is stored of it, as a value and as a JSON file.

Law 1: values stand in it as they are stored; reading a recording runs no code and needs no function.
Law 2: the same execution in the same state is the same text, byte for byte, but for the instant of the recording.
Law 3: the format has a number; what a later version wrote is refused with a sentence.

The file is one object: `format` (1), `execution`, `function` and `version` (what was called, as far as the headers
say), `recorded_at` (epoch ms), `separator` (of ids), `promise` (the execution's own) and `history` (every other promise
that belongs to it, in the order of ids), each promise as the protocol writes it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, cast

import orjson
from attrs import frozen

from resonate.core import ids
from resonate.core.engine.identity import CALL
from resonate.core.protocol.records import PromiseRecord
from resonate.core.protocol.wire.fields import Malformed
from resonate.core.protocol.wire.records import promise_from_wire, promise_to_wire
from resonate.errors import DecodingError

FORMAT: Final = 1


@frozen(kw_only=True)
class Recording:
    """One execution, as it was stored at an instant.

    Args:
        promise: the execution's own promise.
        history: every other promise that belongs to it.
        recorded_at: epoch ms.
        separator: stands between the origin of an id and its lineage.
    """

    promise: PromiseRecord
    history: tuple[PromiseRecord, ...]
    recorded_at: int
    separator: str = ids.SEPARATOR

    @property
    def id(self) -> str:
        """The execution's id."""
        return self.promise.id

    @property
    def function(self) -> str:
        """What was called, `checkout@1`; empty if another SDK started it, which does not say."""
        return self.promise.param.headers.get(CALL, "")

    def to_json(self) -> str:
        """Return it as the text of a file."""
        name, _, version = self.function.partition("@")
        wire = {
            "format": FORMAT,
            "execution": self.id,
            "function": name,
            "version": int(version) if version.isdecimal() else None,
            "recorded_at": self.recorded_at,
            "separator": self.separator,
            "promise": promise_to_wire(self.promise),
            "history": [promise_to_wire(one) for one in sorted(self.history, key=lambda one: ids.natural_key(one.id))],
        }
        return orjson.dumps(_sorted(wire), option=orjson.OPT_INDENT_2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Recording:
        """Read what `to_json` wrote. Raise `DecodingError`."""
        try:
            wire: Any = orjson.loads(text)
        except ValueError as error:
            raise DecodingError(f"A recording is JSON: {error}.") from error
        if not isinstance(wire, dict):
            raise DecodingError("A recording is a JSON object.", hint="Write one with `resonate record`.")
        return _read(cast("dict[str, Any]", wire))

    def save(self, path: str | Path) -> Path:
        """Write it to a file, or into a folder under a name of its own; return where it is.

        A folder is one that is there, or a text that ends in a slash.
        """
        target = Path(path)
        if target.is_dir() or (isinstance(path, str) and path.endswith(("/", os.sep))):
            target /= f"{_file_name(self.id)}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.to_json(), encoding="utf-8")
        return target

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read a file. Raise `DecodingError`, or `OSError` if there is none."""
        try:
            return cls.from_json(Path(path).read_bytes())
        except DecodingError as error:
            error.message = f"{path}: {error.message}"
            raise


def _read(wire: dict[str, Any]) -> Recording:
    found = wire.get("format")
    if found != FORMAT:
        raise DecodingError(
            f"The recording has format {found!r}; this version of the library reads {FORMAT}.",
            hint="Read it with the version that wrote it, or record anew.",
        )
    try:
        history: Any = wire["history"]
        at, separator = wire["recorded_at"], wire["separator"]
        promise = promise_from_wire(wire["promise"])
        records = tuple(promise_from_wire(one) for one in history)
    except (Malformed, KeyError, TypeError, AttributeError) as error:
        raise DecodingError(f"The recording is damaged: {error!r}.", hint="Record it anew.") from error
    if type(at) is not int or not isinstance(separator, str) or not separator:
        raise DecodingError("The recording is damaged: recorded_at or separator.", hint="Record it anew.")
    return Recording(promise=promise, history=records, recorded_at=at, separator=separator)


def _sorted(wire: dict[str, Any]) -> dict[str, Any]:
    """Return the same with the keys of headers and tags in one order; the rest is in the order in which it is read."""
    for record in (wire["promise"], *wire["history"]):
        record["tags"] = dict(sorted(record.get("tags", {}).items()))
        for value in (record.get("param", {}), record.get("value", {})):
            if "headers" in value:
                value["headers"] = dict(sorted(value["headers"].items()))
    return wire


def _file_name(execution_id: str) -> str:
    return "".join(char if char.isalnum() or char in "-_.~" else "_" for char in execution_id)[:200]
