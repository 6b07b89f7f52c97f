"""What a stored value says, as far as that can be told without running anything or knowing a key.

Law 1: a value is read as JSON or not at all; what was written in another way is named, never decoded.
Law 2: nothing raises, whatever the data.
"""

from __future__ import annotations

import binascii
from typing import Any, Final

import orjson
from attrs import frozen

from resonate.core.protocol.records import Value

_CONTENT_TYPE: Final = "content-type"
_JSON: Final = "application/json"
_LONGEST: Final = 300
_SHALLOW: Final = 200
"""With so many opening brackets, JSON is not nested too deeply."""


@frozen
class Opaque:
    """A value that is not shown: `reason` says what it is."""

    reason: str


def peek(value: Value) -> Any:
    """Return the JSON value that a payload holds, None for none, or `Opaque`."""
    if value.data is None:
        return None
    written_as = value.headers.get(_CONTENT_TYPE, _JSON)
    if not written_as.startswith(_JSON):
        return Opaque(f"{written_as:.80}, {len(value.data)} characters")
    for name, text in value.headers.items():
        if name != _CONTENT_TYPE and name.startswith("content-"):  # encrypted, compressed, or kept elsewhere
            return Opaque(f"{name}: {text:.80}, {len(value.data)} characters")
    try:
        return _json(binascii.a2b_base64(value.data, strict_mode=True))
    except ValueError:
        return _plain(value.data)


def shown(found: Any) -> str:
    """Return what was found in a payload as JSON in one line, or why it is not shown."""
    return f"[{found.reason}]" if isinstance(found, Opaque) else orjson.dumps(found).decode()


def _plain(data: str) -> Any:
    try:
        return _json(data.encode())
    except ValueError:
        return Opaque(f"no JSON, {len(data)} characters")


def _json(data: bytes) -> Any:
    """Read JSON. What is nested so deeply that it can't be written again, within a document, is `Opaque`."""
    found = orjson.loads(data)
    if data.count(b"[") + data.count(b"{") > _SHALLOW:
        try:
            _ = orjson.dumps([[[[[[[[found]]]]]]]])
        except TypeError:
            return Opaque(f"JSON that is nested too deeply, {len(data)} bytes")
    return found


def brief(text: str) -> str:
    """Return a text in one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
