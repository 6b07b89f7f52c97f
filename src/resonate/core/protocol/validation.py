"""Whether a request is well-formed, whatever is stored.

Law 1: a check returns the sentence that says what is wrong, or None; it never raises, whatever the fields hold.
Law 2: what passes can be stored anywhere: text is valid Unicode, ids hold no NUL, integers fit a JSON number.
Law 3: `bool` is no integer, and a plain string is no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from resonate.core.protocol.records import NO_HEADERS, NO_VALUE, PromiseState, TaskState, Value
from resonate.core.protocol.requests import PromiseCreate, PromiseRegisterCallback, PromiseSettle, TaskRef

MAX_INT: Final = 2**53 - 1
MAX_LIMIT: Final = 1_000
_MAPPINGS: Final = frozenset({dict, MappingProxyType})


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: neither JSON nor a database can hold it
        return False
    return True


def id_wrong(name: str, value: object) -> str | None:
    """Refuse what cannot name anything: not a string, empty, with a NUL, not Unicode."""
    if type(value) is str and value and "\0" not in value and (value.isascii() or _is_text(value)):
        return None
    return f"{name} must be a non-empty string of Unicode without NUL"


def int_wrong(name: str, value: object, least: int = 0) -> str | None:
    """Refuse what is not an integer from `least` to 2^53 - 1."""
    if type(value) is int and least <= value <= MAX_INT:
        return None
    return f"{name} must be an integer from {least} to 2^53 - 1"


def texts_wrong(name: str, value: object) -> str | None:
    """Refuse what is not a mapping of strings to strings."""
    texts: Any = value
    if type(value) in _MAPPINGS or isinstance(value, Mapping):  # the first is quick, and nearly always so
        for key, text in texts.items():
            if type(key) is not str or type(text) is not str:
                break
            if not (key.isascii() and text.isascii()) and not (_is_text(key) and _is_text(text)):
                break
        else:
            return None
    return f"{name} must map strings to strings"


def value_wrong(name: str, value: object) -> str | None:
    """Refuse what is not a `Value` of headers and a string."""
    if value is NO_VALUE:
        return None
    if type(value) is not Value:
        return f"{name} must be a value of headers and data"
    data = value.data
    if data is not None and (type(data) is not str or not (data.isascii() or _is_text(data))):
        return f"{name}.data must be a string"
    return None if value.headers is NO_HEADERS else texts_wrong(f"{name}.headers", value.headers)


def create_wrong(request: object) -> str | None:
    """Refuse a malformed promise.create."""
    if type(request) is not PromiseCreate:
        return "the action must be a promise.create"
    return (
        id_wrong("id", request.id)
        or int_wrong("timeout_at", request.timeout_at)
        or value_wrong("param", request.param)
        or texts_wrong("tags", request.tags)
    )


def settle_wrong(request: object) -> str | None:
    """Refuse a malformed promise.settle. Whether the state can be asked for is a rule, not a form."""
    if type(request) is not PromiseSettle:
        return "the action must be a promise.settle"
    wrong = id_wrong("id", request.id) or value_wrong("value", request.value)
    if wrong is None and type(request.state) is not PromiseState:
        return "state must be a state of a promise"
    return wrong


def fenced_wrong(action: object) -> str | None:
    """Refuse a fenced action that is malformed or of another kind than create and settle."""
    if type(action) is PromiseCreate:
        return create_wrong(action)
    if type(action) is PromiseSettle:
        return settle_wrong(action)
    return "the action of task.fence must be a promise.create or a promise.settle"


def ref_wrong(id: object, version: object) -> str | None:
    """Refuse a malformed name of a task at a version."""
    if type(id) is str and type(version) is int and id.isascii() and 0 <= version <= MAX_INT and id and "\0" not in id:
        return None  # nearly always
    return id_wrong("id", id) or int_wrong("version", version)


def lease_wrong(pid: object, ttl: object) -> str | None:
    """Refuse a lease held by nobody, or one that expires as it is granted."""
    return id_wrong("pid", pid) or int_wrong("ttl", ttl, 1)


def refs_wrong(tasks: object) -> str | None:
    """Refuse a heartbeat over something else than tasks at versions, or over none."""
    if not isinstance(tasks, tuple) or not tasks:
        return "tasks must name at least one task"
    for ref in cast("tuple[object, ...]", tasks):
        wrong = ref_wrong(ref.id, ref.version) if type(ref) is TaskRef else "tasks must be ids with versions"
        if wrong is not None:
            return wrong
    return None


def suspend_wrong(id: str, actions: object) -> str | None:
    """Refuse to wait for nothing, for oneself, twice for the same, or on behalf of another task."""
    if not isinstance(actions, tuple) or not actions:
        return "a task cannot be suspended without a promise to wait for"
    seen: set[str] = set()
    for action in cast("tuple[object, ...]", actions):
        if type(action) is not PromiseRegisterCallback:
            return "the actions of task.suspend must be promise.register_callback"
        wrong = id_wrong("awaited", action.awaited)
        if wrong is not None:
            return wrong
        if action.awaiter != id:
            return "a task can only be suspended with callbacks of its own"
        if action.awaited == id:
            return "a task cannot wait for its own promise"
        if action.awaited in seen:
            return "the promises awaited must be unique"
        seen.add(action.awaited)
    return None


def page_wrong(tags: object, limit: object, cursor: object) -> str | None:
    """Refuse a search with malformed tags, a limit out of 1 to 1000, or a cursor that is no id."""
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        return f"limit must be an integer from 1 to {MAX_LIMIT}"
    return texts_wrong("tags", tags) or (None if cursor is None else id_wrong("cursor", cursor))


def promise_state_wrong(state: object) -> str | None:
    """Refuse a filter that is no state of a promise."""
    return None if state is None or type(state) is PromiseState else "state must be a state of a promise"


def task_state_wrong(state: object) -> str | None:
    """Refuse a filter that is no state of a task."""
    return None if state is None or type(state) is TaskState else "state must be a state of a task"
