"""Where two values differ, field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import attrs

LONGEST: Final = 120
MOST: Final = 20
_MISSING: Final = object()


def differences(recorded: Any, asked: Any, path: str = "") -> list[str]:
    """Return a line for each part that differs, as `order.items[3].price: 10 was recorded, now it is 12`."""
    found: list[str] = []
    for line in _walk(recorded, asked, path):
        found.append(line)
        if len(found) > MOST:
            found[-1] = "..."
            break
    return found


def _walk(recorded: Any, asked: Any, path: str) -> Iterator[str]:
    if type(recorded) is not type(asked):
        if not _equal(recorded, asked):
            yield _line(path, recorded, asked)
        return
    before, after = _parts(recorded), _parts(asked)
    if before is None or after is None:
        if not _equal(recorded, asked):
            yield _line(path, recorded, asked)
        return
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key, _MISSING), after.get(key, _MISSING)
        if old is _MISSING or new is _MISSING:
            yield _line(path + key, old, new)
        else:
            yield from _walk(old, new, path + key)


def _parts(value: Any) -> dict[str, Any] | None:
    """Return a value's parts by how a path names them; None for a value that is compared whole."""
    kind: Any = value.__class__
    whole: Any = value
    if attrs.has(kind):
        return {f".{one.name}": getattr(value, one.name) for one in attrs.fields(kind)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f".{one.name}": getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {f"[{key!r}]": part for key, part in whole.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return {f"[{number}]": part for number, part in enumerate(whole)}
    if isinstance(value, AbstractSet):
        return {f"{{{part!r}}}": part for part in sorted(whole, key=repr)}
    return None


def _equal(recorded: Any, asked: Any) -> bool:
    try:
        return bool(recorded == asked)
    except Exception:  # noqa: BLE001 - a user's `__eq__`
        return False


def _line(path: str, recorded: Any, asked: Any) -> str:
    if recorded is _MISSING:
        return f"{path or 'value'}: it was not recorded, now it is {_shown(asked)}"
    if asked is _MISSING:
        return f"{path or 'value'}: {_shown(recorded)} was recorded, now it is gone"
    return f"{path or 'value'}: {_shown(recorded)} was recorded, now it is {_shown(asked)}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a user's `__repr__`
        text = f"a {type(value).__name__}"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
