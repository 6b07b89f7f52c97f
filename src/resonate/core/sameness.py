"""Whether two stored calls are the same call, though their bytes differ.

Another codec, another key or another compressor writes the same call as other bytes. So where the bytes of what is
asked for differ from what is stored, both are read, and compared as values.

Law 1: equal is what the current codec writes alike, or what is equal part by part, each of the same class; what can't
    be read, or compared, is not the same.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from attrs import evolve

from resonate.core.protocol.records import Value
from resonate.core.values import Call, Codec, Signature
from resonate.errors import NotReadableHere


def same_call(codec: Codec, asked: Value, stored: Value, signature: Signature, *, at: str, stored_at: str) -> bool:
    """Say whether two params hold the same function's name and equal arguments, whatever the function's version.

    Args:
        codec: reads both, and wrote `asked`.
        asked: what is asked for, written for `at`.
        stored: what the store has, written for `stored_at`.
        signature: the types of the function's values.
        at: where `asked` belongs.
        stored_at: where `stored` belongs.

    Raise `NotReadableHere` if this process can't tell.
    """
    try:
        wanted = codec.decode_call(asked, lambda _name, _version: signature, at=at)
        found = codec.decode_call(stored, lambda _name, _version: signature, at=stored_at)
        found = evolve(found, version=wanted.version)
        return codec.encode_call(found, signature, at=at).data == asked.data or _same(found, wanted)
    except NotReadableHere:
        raise
    except Exception:  # noqa: BLE001 - a user's type or hook raises what it likes
        return False


def _same(one: Call, other: Call) -> bool:
    return one.func == other.func and alike(one.args, other.args) and alike(dict(one.kwargs), dict(other.kwargs))


def alike(one: Any, other: Any) -> bool:
    """Say whether two values are equal and of the same class, to the last part: 1, 1.0 and True are three values."""
    if type(one) is not type(other):
        return False
    if _is_row(one):
        return len(one) == len(other) and all(map(alike, one, other))
    if _is_dict(one):
        return one.keys() == other.keys() and all(alike(item, other[key]) for key, item in one.items())
    return bool(one == other)


def _is_row(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)


def _is_dict(value: Any) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)
