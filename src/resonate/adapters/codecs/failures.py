"""Failures as JSON and back, in the shape that all SDKs read.

`{"__type": "error", "message", "name", "stack"}` is shared with the other SDKs; the rest is for ours: `module`, `args`,
`state`, `notes`, `cause`, `context`, `left_out`. A group is `{"__type": "aggregate_error", "errors": [...]}`.

Law 1: neither way raises, whatever the exception or the data does.
Law 2: only standard exceptions, this library's, and registered ones come back as themselves; all else is an
    `ApplicationError`. A name in the data is looked up in these tables and nowhere else.
Law 3: what is written is bounded, however long the chain.
"""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from resonate import errors
from resonate.adapters.codecs.leaves import LEAVES
from resonate.adapters.codecs.plan import Misfit, class_of, is_list, is_object, kind
from resonate.adapters.codecs.text import write
from resonate.adapters.codecs.unions import TAG, VALUE
from resonate.adapters.codecs.untyped import untyped_plan
from resonate.errors import ApplicationError, ResonateError, UsageError

MAX_FAILURES: Final = 100
MAX_DEPTH: Final = 10
MAX_NOTES: Final = 20
MAX_TEXT: Final = 10_000
MAX_STATE: Final = 50_000
MAX_FRAMES: Final = 20
REMOTE: Final = "Traceback where it was first raised:\n"

_UNTYPED: Final = untyped_plan(careful=True)
_TAGGED: Final = {plan.name: plan for plan in LEAVES.values() if not plan.native}
_CONTROL: Final = (StopIteration, StopAsyncIteration)  # raised into a coroutine, these end up as another error
_OURS_TO_RAISE: Final = (errors.LeaseLost, errors.NondeterminismError, errors.EngineBug)  # an attempt's own end
_STATE: Final = ("hint", "execution", "step", "path", "name", "details")

_Name = tuple[str, str]


def _standard() -> dict[_Name, type[Exception]]:
    found = {
        (cls.__module__, cls.__qualname__): cls
        for cls in vars(builtins).values()
        if isinstance(cls, type) and issubclass(cls, Exception) and not issubclass(cls, (*_CONTROL, ExceptionGroup))
    }
    return found | {
        (cls.__module__, cls.__qualname__): cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, ResonateError) and not issubclass(cls, _OURS_TO_RAISE)
    }


STANDARD: Final[Mapping[_Name, type[Exception]]] = _standard()


class Failures:
    """Which classes of failure come back as themselves."""

    def __init__(self) -> None:
        self._classes: dict[_Name, type[Exception]] = dict(STANDARD)

    def register(self, cls: type[Exception]) -> None:
        """Let this class come back as itself."""
        given: Any = cls  # the types say so, the caller may not
        if not isinstance(given, type) or not issubclass(given, Exception):
            raise UsageError(f"{cls!r} is not an exception class", hint="Register classes derived from Exception.")
        self._classes[cls.__module__, cls.__qualname__] = cls

    def dump(self, error: BaseException) -> dict[str, Any]:
        """Write a failure with its causes."""
        return _Writer().write(error, MAX_DEPTH)

    def load(self, json: Any) -> Exception:
        """Read what a promise was rejected with."""
        try:
            return _load(json, self._classes, MAX_DEPTH)
        except Exception as failed:  # noqa: BLE001 - a registered class may refuse notes and causes, say
            return ApplicationError("a failure was recorded that can't be read", details=_clean(failed))


# ---------------------------------------------------------------- writing


def brief(error: BaseException, failed: Exception) -> dict[str, Any]:
    """Write no more than what is certain of a failure that can't be written in full."""
    name = type(error).__name__
    left_out = [f"everything else: {type(failed).__name__}"]
    return {"__type": "error", "message": message_of(error), "name": _clean(name), "left_out": left_out}


class _Writer:
    """One failure being written: counts what it has written, so that no chain or group is too long."""

    def __init__(self) -> None:
        self._written = 0
        self._path: list[int] = []  # ids of the failures being written, against cycles

    def write(self, error: BaseException, depth: int) -> dict[str, Any]:
        self._written += 1
        self._path.append(id(error))
        cls = type(error)
        left_out: list[str] = []
        json: dict[str, Any] = {
            "__type": "error",
            "message": message_of(error),
            "name": _name(error),
            "type": _clean(cls.__qualname__),
            "module": _clean(cls.__module__),
        }
        if _is_group(error):
            json["__type"] = "aggregate_error"
            json["errors"] = self._all(error.exceptions, depth, left_out)
        elif isinstance(error, ResonateError):
            json["state"] = _state(error, left_out)
        else:
            _add_args(json, error, left_out)
        notes, stack = _notes_and_stack(error)
        json["stack"] = stack
        if notes:
            json["notes"] = notes
        self._add_cause(json, error, depth, left_out)
        if left_out:
            json["left_out"] = left_out
        self._path.pop()
        return json

    def _all(self, members: Sequence[BaseException], depth: int, left_out: list[str]) -> list[dict[str, Any]]:
        written = [self.write(member, depth - 1) for member in members if self._fits(member, depth)]
        if len(written) < len(members):
            left_out.append(f"errors: {len(members) - len(written)} of {len(members)}, too many")
        return written

    def _fits(self, error: BaseException, depth: int) -> bool:
        return depth > 1 and self._written < MAX_FAILURES and id(error) not in self._path

    def _add_cause(self, json: dict[str, Any], error: BaseException, depth: int, left_out: list[str]) -> None:
        cause = error.__cause__
        name = "cause"
        if cause is None and not error.__suppress_context__:
            cause, name = error.__context__, "context"
        if cause is None:
            return
        if self._fits(cause, depth):
            json[name] = self.write(cause, depth - 1)
        else:
            left_out.append(f"{name}: the chain is too long")


def message_of(error: BaseException) -> str:
    """Return an exception's text, whatever its `__str__` does."""
    try:
        if isinstance(error, BaseExceptionGroup | ResonateError):
            return _clean(error.message)
        return _clean(str(error))
    except Exception as failed:  # noqa: BLE001 - a user's __str__ raises what it likes
        return f"(its text can't be had: {type(failed).__name__})"


def _is_group(error: BaseException) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    return isinstance(error, BaseExceptionGroup)


def _name(error: BaseException) -> str:
    name = error.name if isinstance(error, ApplicationError) else ""
    return _clean(name or type(error).__name__)


def _clean(value: object) -> str:
    """Make text that UTF-8 can hold, of bounded length."""
    text = str(value)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}... ({len(text)} characters)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _add_args(json: dict[str, Any], error: BaseException, left_out: list[str]) -> None:
    args: tuple[Any, ...] = error.args
    if isinstance(error, OSError) and error.filename:  # these are arguments, but not among `args`
        args += (error.filename, None, error.filename2) if error.filename2 else (error.filename,)
    written: list[Any] = []
    for index, arg in enumerate(args):
        try:
            written.append(dump_argument(arg))
        except Exception as failed:  # noqa: BLE001 - an argument may be anything
            left_out.append(f"args[{index}]: {kind(arg)}: {_clean(failed)}")
            return
    json["args"] = written


def dump_argument(value: Any) -> Any:
    """Write an exception's argument: plain JSON as it is; tuples, ids, times, bytes and the like under their name."""
    cls = class_of(value)
    if cls is tuple:
        return {TAG: "tuple", VALUE: [dump_argument(item) for item in value]}
    leaf = LEAVES.get(cls)
    if leaf is not None and not leaf.native:
        return {TAG: leaf.name, VALUE: leaf.dump(value)}
    if cls is dict and TAG in value:
        raise Misfit(f"the key {TAG!r} has a meaning of its own")
    return _plain(value, MAX_TEXT)


def load_argument(json: Any) -> Any:
    """Read an exception's argument."""
    if not is_object(json) or TAG not in json:
        return _UNTYPED.load(json)
    if json[TAG] == "tuple":
        return tuple(load_argument(item) for item in json[VALUE])
    return _TAGGED[json[TAG]].load(json[VALUE])


def _plain(value: Any, limit: int) -> Any:
    """Return the value if it is plain JSON of bounded size; raise otherwise."""
    json = _UNTYPED.dump(value)
    if len(write(json)) > limit:
        raise Misfit("it is too long")
    return json


def _state(error: ResonateError, left_out: list[str]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for name in _STATE:
        value = getattr(error, name, None)
        if value is None or value == "":
            continue
        try:
            state[name] = _plain(value, MAX_STATE)
        except Exception as failed:  # noqa: BLE001 - details may be anything
            left_out.append(f"{name}: {kind(value)}: {_clean(failed)}")
    return state


def _notes_and_stack(error: BaseException) -> tuple[list[str], str]:
    """Return the notes, and where the failure was raised: first of all, if it has come from elsewhere before."""
    found: Any = getattr(error, "__notes__", None)
    notes = [note for note in found if isinstance(note, str)] if is_list(found) else []
    remote = [note.removeprefix(REMOTE) for note in notes if note.startswith(REMOTE)]
    kept = [_clean(note) for note in notes if not note.startswith(REMOTE)]
    return kept[:MAX_NOTES], _clean(remote[0]) if remote else _stack(error)


def _stack(error: BaseException) -> str:
    try:
        lines = traceback.format_tb(error.__traceback__, limit=-MAX_FRAMES)
    except Exception:  # noqa: BLE001 - a traceback's source may be gone or odd
        return ""
    text = "".join(lines)
    return _clean(text[-MAX_TEXT:])


# ---------------------------------------------------------------- reading


def _load(json: Any, classes: Mapping[_Name, type[Exception]], depth: int) -> Exception:
    if not is_object(json):
        return _unnamed(json)
    members = json.get("errors")
    if json.get("__type") == "aggregate_error" and is_list(members) and members and depth > 1:
        group = [_load(member, classes, depth - 1) for member in members[:MAX_FAILURES]]
        error: Exception = ExceptionGroup(_text(json.get("message")), group)
    else:
        error = _rebuild(json, classes) or _application_error(json)
    return _dress(error, json, classes, depth)


def _unnamed(json: Any) -> ApplicationError:
    if json is None:
        return ApplicationError("the promise was rejected without a reason")
    message = json if isinstance(json, str) else "the promise was rejected with a value"
    return ApplicationError(message, details=json)


def _rebuild(json: dict[str, Any], classes: Mapping[_Name, type[Exception]]) -> Exception | None:
    """Return the failure as its own class, if that is known and gives the same text again."""
    module, name = json.get("module"), json.get("type")
    cls = classes.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if cls is None:
        return None
    message = _text(json.get("message"))
    try:
        error: Any = _of_ours(cls, message, json) if _is_ours(cls) else _of_args(cls, json)
        same = message in {message_of(error), str(error)}
        return error if isinstance(error, Exception) and same else None
    except Exception:  # noqa: BLE001 - the class's constructor raises what it likes
        return None


def _is_ours(cls: type[Exception]) -> TypeGuard[type[ResonateError]]:
    return cls.__module__ == errors.__name__


def _of_ours(cls: type[ResonateError], message: str, json: dict[str, Any]) -> Exception:
    state = json.get("state")
    given = {name: value for name, value in state.items() if name in _STATE} if is_object(state) else {}
    if any(not isinstance(value, str) for name, value in given.items() if name != "details"):
        return ApplicationError(message)
    return cls(message, **given)


def _of_args(cls: type[Exception], json: dict[str, Any]) -> Exception:
    args = json.get("args")
    return cls(*map(load_argument, args)) if is_list(args) else cls(_text(json.get("message")))


def _application_error(json: dict[str, Any]) -> ApplicationError:
    message, name = json.get("message"), json.get("name")
    if not isinstance(message, str):
        return ApplicationError("the promise was rejected with a value", details=json)
    details = {key: value for key, value in json.items() if key not in _SHOWN}
    return ApplicationError(message, name=name if isinstance(name, str) else "", details=details or None)


_SHOWN: Final = frozenset({"__type", "message", "name", "notes", "cause", "context", "__py_pickle"})


def _dress(error: Exception, json: dict[str, Any], classes: Mapping[_Name, type[Exception]], depth: int) -> Exception:
    """Put notes, the first traceback and the causes on it."""
    notes = json.get("notes")
    for note in notes[:MAX_NOTES] if is_list(notes) else ():
        if isinstance(note, str):
            error.add_note(note)
    stack = json.get("stack")
    if isinstance(stack, str) and stack:
        error.add_note(f"{REMOTE}{stack}")
    if depth > 1 and "cause" in json:
        error.__cause__ = _load(json["cause"], classes, depth - 1)
    elif depth > 1 and "context" in json:
        error.__context__ = _load(json["context"], classes, depth - 1)
    return error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
