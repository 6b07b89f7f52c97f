"""What the params and values of promises say to an operator.

Law 1: what can't be read is named, never decoded.
Law 2: nothing raises, whatever the data.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from resonate.core.engine.identity import CALL
from resonate.core.payload import Opaque, brief, peek, shown
from resonate.core.protocol.records import Value


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
            return shown(found)
        case None:
            return "no reason given"
        case {"message": str(message), **rest}:
            name = rest.get("name")
            text = f"{name}: {message}" if isinstance(name, str) and name else message
        case _:
            text = shown(found)
    return brief(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
