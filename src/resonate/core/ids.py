"""The grammar of ids: an origin, then the lineage of what was started below it.

Law 1: an id is `origin`, or `origin` + separator + `n` (`.` + `n`)*; lineage is counted from 1, and a segment 0 is
    the engine's own: no workflow asked for that promise.
Law 2: the separator stands once, between origin and lineage; an origin never contains it.
Law 3: everything here costs the length of the id, whatever it contains.

With the separator `:` a root counts `root:1`, `root:1.2`; with the older `.` it counts `root.1`, `root.1.2`.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from resonate.errors import UsageError

SEPARATOR: Final = ":"
JOINT: Final = "."
LONGEST_ROOT_ID: Final = 512

_INSTANT: Final = re.compile(r"(?<![0-9])[0-9]{13}\Z")
"""What schedules make ids end with: epoch ms, from the year 2001 to 2286."""

NaturalKey: TypeAlias = tuple[tuple[tuple[int, int, str], ...], str]

# The three alternatives share no character, so there is one way to match and nothing to backtrack into.
_CHUNKS: Final = re.compile(r"[.:]|[0-9]+|[^.:0-9]+")
_JOINT_CHUNK, _NUMBER_CHUNK, _TEXT_CHUNK = range(3)


def child(parent_id: str, n: int, separator: str = SEPARATOR) -> str:
    """Return the id of the `n`-th thing (from 1) that `parent_id` starts."""
    return f"{below(parent_id, separator)}{n}"


def below(parent_id: str, separator: str = SEPARATOR) -> str:
    """Return how the ids of all that `parent_id` starts begin."""
    return parent_id + (JOINT if separator in parent_id else separator)


def origin(promise_id: str, separator: str = SEPARATOR) -> str:
    """Return the root of an id; a root is its own origin."""
    return promise_id.partition(separator)[0]


def parent(promise_id: str, separator: str = SEPARATOR) -> str | None:
    """Return the id one level up the lineage, None for a root. It need not be a promise: a task's branch is not."""
    root, found, lineage = promise_id.partition(separator)
    if not found:
        return None
    above, _, _ = lineage.rpartition(JOINT)
    return f"{root}{separator}{above}" if above else root


def suffix(execution_id: str, promise_id: str, separator: str = SEPARATOR) -> str:
    """Return where `promise_id` stands below `execution_id`: `1.2` for `root:1.2` below `root`.

    It is empty for the execution itself; an id that is not below it comes back whole.
    """
    if promise_id == execution_id:
        return ""
    return promise_id.removeprefix(below(execution_id, separator))


def is_below(promise_id: str, ancestor: str, separator: str = SEPARATOR) -> bool:
    """Say whether `promise_id` lies below `ancestor`, by their texts."""
    return promise_id.startswith(below(ancestor, separator))


def is_own(execution_id: str, promise_id: str, separator: str = SEPARATOR) -> bool:
    """Say whether a promise of an execution is the engine's own: the workflow did not ask for it."""
    if not is_below(promise_id, execution_id, separator):
        return False
    segments = suffix(execution_id, promise_id, separator).split(JOINT)
    return segments[0] == "0" or segments[-1] == "0"


def counted(promise_id: str, separator: str = SEPARATOR) -> tuple[str, int]:
    """Split `root:1.2` in `root:1.` and 2, so that its siblings can be named; the number is 0 where there is none."""
    end = max(promise_id.rfind(JOINT), promise_id.rfind(separator)) + 1
    digits = promise_id[end:]
    is_number = end > 0 and digits.isascii() and digits.isdecimal() and not digits.startswith("0")
    return (promise_id[:end], int(digits)) if is_number else (promise_id, 0)


def natural_key(promise_id: str) -> NaturalKey:
    """Return a sort key under which 2 comes before 10 and a parent right before all that is below it.

    Different ids have different keys, so the order is total.
    """
    return tuple(_weigh(chunk) for chunk in _CHUNKS.findall(promise_id)), promise_id


def _weigh(chunk: str) -> tuple[int, int, str]:
    """Compare numbers by length, then digit by digit: equal to comparing them, without converting them."""
    if chunk[0] in ".:":
        return _JOINT_CHUNK, 0, ""
    if "0" <= chunk[0] <= "9":
        digits = chunk.lstrip("0")
        return _NUMBER_CHUNK, len(digits), digits
    return _TEXT_CHUNK, 0, chunk


def check_root_id(root_id: object, separator: str = SEPARATOR) -> None:
    """Raise `UsageError` unless `root_id` can name an execution in this dialect."""
    if not isinstance(root_id, str):
        message = f"an execution's id is a str, not {type(root_id).__name__}."
        raise UsageError(message, hint="The id comes first, as text, such as an order number; then the function.")
    if not root_id:
        message = "an execution's id is empty."
        raise UsageError(message, hint="Pass text that names the work, such as an order number.")
    if len(root_id) > LONGEST_ROOT_ID:
        message = f"an execution's id has {len(root_id)} characters; {LONGEST_ROOT_ID} are allowed."
        raise UsageError(message, hint="Shorten it, or use a hash of it.")
    if separator in root_id:
        message = f"the execution id {root_id!r} contains {separator!r}, which separates an id from its lineage."
        raise UsageError(message, hint=f"Replace {separator!r} by another character, such as '-'.")
    if "\0" in root_id or not is_unicode(root_id):
        message = f"the execution id {root_id!r} contains a character that no store can carry."
        raise UsageError(message, hint="Remove NUL characters and lone surrogates.")


def is_unicode(text: str) -> bool:
    """Say whether stores can carry `text`: it has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def instant(promise_id: str, schedule_id: str) -> int | None:
    """Return for which instant (epoch ms) a schedule has made a promise; None if the id does not end with that."""
    told = None if promise_id == schedule_id else _INSTANT.search(promise_id)
    return None if told is None else int(told[0])
