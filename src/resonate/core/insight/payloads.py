"""What stored values say, as far as that can be told without running anything or knowing a key.

Law 1: a value is read as JSON or not at all; what was written in another way is named, never decoded.
Law 2: nothing raises, whatever the data.
"""

from __future__ import annotations

import binascii
from typing import Any, Final, TypeGuard

import orjson
from attrs import frozen

from resonate.core.engine.identity import CALL
from resonate.core.protocol.records import Value

_CONTENT_TYPE: Final = "content-type"
_JSON: Final = "application/json"
_LONGEST: Final = 300


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
        return orjson.loads(binascii.a2b_base64(value.data, strict_mode=True))
    except ValueError:
        return _plain(value.data)


def _plain(data: str) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        return Opaque(f"no JSON, {len(data)} characters")


def callee(param: Value) -> tuple[str | None, int | None]:
    """Return the name and the version of the function that a param calls, None where it says none."""
    called = param.headers.get(CALL)
    if called:
        name, _, number = called.rpartition("@")
        return (name, int(number)) if name and _is_number(number) else (called, None)
    found = peek(param)
    if not _is_object(found):
        return None, None
    func, version = found.get("func"), found.get("version")
    return func if isinstance(func, str) else None, version if type(version) is int and version > 0 else None


def failure(value: Value) -> str:
    """Return what a promise was rejected with, in one line: `ValueError: no such order`."""
    found = peek(value)
    match found:
        case Opaque():
            return f"[{found.reason}]"
        case None:
            return "no reason given"
        case {"message": str(message), **rest}:
            name = rest.get("name")
            text = f"{name}: {message}" if isinstance(name, str) and name else message
        case _:
            text = orjson.dumps(found).decode()
    return brief(text)


def brief(text: str) -> str:
    """Return a text in one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
