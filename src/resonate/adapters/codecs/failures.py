"""Failures as JSON and back, in the shape that all SDKs read.

`{"__type": "error", "message", "name", "stack"}` is shared with the other SDKs; the rest is for ours: `module`, `args`,
`attributes`, `state`, `notes`, `cause`, `context`, `left_out`. A group is an `aggregate_error` with `errors`.

Law 1: neither way raises, whatever the exception or the data does.
Law 2: only known exceptions come back as themselves (see `known_errors`); all else is an `ApplicationError`.
Law 3: what is written is bounded, however long the chain.
"""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import MemberDescriptorType, WrapperDescriptorType
from typing import Any, Final, TypeAlias, TypeGuard

from resonate import errors
from resonate.adapters.codecs.known_errors import KnownErrors
from resonate.adapters.codecs.leaves import LEAVES
from resonate.adapters.codecs.plan import Misfit, class_of, is_list, is_object, kind
from resonate.adapters.codecs.text import write
from resonate.adapters.codecs.unions import TAG, VALUE
from resonate.adapters.codecs.untyped import untyped_plan
from resonate.core.raised import message_of
from resonate.errors import ApplicationError, EngineBug, ResonateError

MAX_FAILURES: Final = 100
MAX_DEPTH: Final = 10
MAX_NOTES: Final = 20
MAX_ARGUMENTS: Final = 500_000
MAX_LEFT_OUT: Final = 40
MAX_TEXT: Final = 10_000
MAX_STATE: Final = 50_000
MAX_FRAMES: Final = 20
MOST_FRAMES: Final = 100
REMOTE: Final = "Traceback where it was first raised:\n"

_LIBRARY: Final = os.path.join(os.path.dirname(errors.__file__), "")  # noqa: PTH118, PTH120 - as the code's own names of files are
_UNTYPED: Final = untyped_plan(careful=True)
_TAGGED: Final = {plan.name: plan for plan in LEAVES.values() if not plan.native}
_STATE: Final = ("hint", "execution", "step", "path", "name", "details")


class Failures:
    """Failures as one codec writes and reads them."""

    def __init__(self) -> None:
        self._known = KnownErrors()
        self.register = self._known.register

    def dump(self, error: BaseException) -> dict[str, Any]:
        """Write a failure with its causes."""
        return _Writer().write(error, MAX_DEPTH)

    def load(self, json: Any) -> Exception:
        """Read what a promise was rejected with."""
        try:
            return _load(json, self._known, MAX_DEPTH)
        except Exception as failed:  # noqa: BLE001 - a registered class may refuse notes and causes, say
            return ApplicationError("a failure was recorded that can't be read", details=_clean(failed))


# ---------------------------------------------------------------- writing


def brief(error: BaseException, failed: Exception) -> dict[str, Any]:
    """Write no more than what is certain of a failure that can't be written in full."""
    name = type(error).__name__
    left_out = [f"everything else: {type(failed).__name__}"]
    return {"__type": "error", "message": _clean(message_of(error)), "name": _clean(name), "left_out": left_out}


class _Writer:
    """One failure being written: counts what it has written, so that no chain or group is too long."""

    def __init__(self) -> None:
        self._written = 0
        self._room = MAX_ARGUMENTS
        self._path: list[int] = []  # ids of the failures being written, against cycles

    def write(self, error: BaseException, depth: int) -> dict[str, Any]:
        self._written += 1
        self._path.append(id(error))
        cls = type(error)
        left_out: list[str] = []
        json: dict[str, Any] = {
            "__type": "error",
            "message": _clean(message_of(error)),
            "name": _name(error),
            "type": _clean(cls.__qualname__),
            "module": _clean(cls.__module__),
        }
        if _is_group(error):
            json["__type"] = "aggregate_error"
            json["errors"] = self._all(error.exceptions, depth, left_out)
        elif isinstance(error, ResonateError):
            json["state"] = _state(error, left_out)
        if not _is_group(error) and cls.__module__ != errors.__name__:
            self._add_args(json, error, left_out)
            self._add_attributes(json, error, left_out)
        notes, stack = _notes_and_stack(error)
        json["stack"] = stack
        if notes:
            json["notes"] = notes
        self._add_cause(json, error, depth, left_out)
        if left_out:
            json["left_out"] = left_out[:MAX_LEFT_OUT]
        self._path.pop()
        return json

    def _all(self, members: Sequence[BaseException], depth: int, left_out: list[str]) -> list[dict[str, Any]]:
        written = [self.write(member, depth - 1) for member in members if self._fits(member, depth)]
        if len(written) < len(members):
            left_out.append(f"errors: {len(members) - len(written)} of {len(members)}, too many")
        return written

    def _fits(self, error: BaseException, depth: int) -> bool:
        return depth > 1 and self._written < MAX_FAILURES and id(error) not in self._path

    def _add_args(self, json: dict[str, Any], error: BaseException, left_out: list[str]) -> None:
        args: tuple[Any, ...] = error.args
        if isinstance(error, OSError) and error.filename:  # these are arguments, but not among `args`
            args += (error.filename, None, error.filename2) if error.filename2 else (error.filename,)
        written: list[Any] = []
        for index, arg in enumerate(args):
            try:
                written.append(self._argument(arg))
            except Exception as failed:  # noqa: BLE001 - an argument may be anything
                left_out.append(f"args[{index}]: {kind(arg)}: {_clean(failed)}")
                return
        json["args"] = written

    def _add_attributes(self, json: dict[str, Any], error: BaseException, left_out: list[str]) -> None:
        """Write what the instance has beside its arguments."""
        beside = {"message", *_STATE} if isinstance(error, ResonateError) else set[str]()
        written: dict[str, Any] = {}
        for name, value in (*vars(error).items(), *_slots(error)):
            if name in beside or not _is_attribute(name, type(error)):
                continue
            try:
                written[name] = self._argument(value)
            except Exception as failed:  # noqa: BLE001 - an attribute may be anything
                left_out.append(f"attributes.{_clean(name)}: {kind(value)}: {_clean(failed)}")
        if written:
            json["attributes"] = written

    def _argument(self, value: Any) -> Any:
        json = dump_argument(value)
        size = len(write(json))
        if size > min(MAX_TEXT, self._room):
            raise Misfit("it is too long")
        self._room -= size
        return json

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


def _is_attribute(name: str, cls: type) -> bool:
    """Whether this may be an instance's own data, and hides no method of its class."""
    return name.isidentifier() and not name.startswith("__") and not callable(getattr(cls, name, None))


def _slots(error: BaseException) -> Iterable[tuple[str, Any]]:
    """Return what the instance has in slots of its own classes."""
    for cls in type(error).__mro__:
        for name, member in vars(cls).items():
            if isinstance(member, MemberDescriptorType) and cls.__module__ != "builtins" and hasattr(error, name):
                yield name, getattr(error, name)


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
        lines = traceback.StackSummary.from_list(_users_frames(error)[-MAX_FRAMES:]).format()
    except Exception:  # noqa: BLE001 - a traceback's source may be gone or odd
        return ""
    text = "".join(lines)
    return _clean(text[-MAX_TEXT:].rstrip())


def _users_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of a failure without those of this library that led to the user's code.

    Those below it are left out, too, where the failure is ours to raise; where it is not, they show a bug of ours.
    """
    whole = error.__traceback__
    first = whole
    while first is not None and _is_ours(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    ours_to_raise = isinstance(error, ResonateError) and not isinstance(error, EngineBug)
    if (first is None and not ours_to_raise) or isinstance(error, EngineBug):
        first = whole
    frames = list(traceback.extract_tb(first, limit=-MOST_FRAMES))
    while ours_to_raise and frames and _is_ours(frames[-1].filename):
        frames.pop()
    return frames


def _is_ours(file: str) -> bool:
    return file.startswith(_LIBRARY)


# ---------------------------------------------------------------- reading


def _load(json: Any, known: KnownErrors, depth: int) -> Exception:
    if not is_object(json):
        return _unnamed(json)
    members = json.get("errors")
    if json.get("__type") == "aggregate_error" and is_list(members) and members and depth > 1:
        group = [_load(member, known, depth - 1) for member in members[:MAX_FAILURES]]
        error: Exception = _group(_text(json.get("message")), group, known.find(json.get("module"), json.get("type")))
    else:
        error = _rebuild(json, known) or _application_error(json)
    _ = _dress(error, json, known, depth)
    if known.may_register(json.get("module"), json.get("type")):
        error.add_note(_how_to_register(_clean(json["type"]), _clean(json["module"])))
    return error


def _how_to_register(name: str, module: str) -> str:
    return (
        f"To have it raised as {name}: resonate.register_error({name.rpartition('.')[2]}), the class of that name in "
        f"{module}, in each process that catches it."
    )


def _group(message: str, members: list[Exception], cls: type[Exception] | None) -> Exception:
    """Return a group of its own class, if that was registered and takes them, else a plain one."""
    make: Any = cls
    if cls is not None and issubclass(cls, ExceptionGroup):
        try:
            group: Any = make(message, members)
        except Exception:  # noqa: BLE001 - as any constructor
            return ExceptionGroup(message, members)
        if _is_group_of_failures(group):
            return group
    return ExceptionGroup(message, members)


def _is_group_of_failures(value: Any) -> TypeGuard[ExceptionGroup[Exception]]:
    return isinstance(value, ExceptionGroup)


def _unnamed(json: Any) -> ApplicationError:
    if json is None:
        return ApplicationError("the promise was rejected without a reason")
    message = json if isinstance(json, str) else "the promise was rejected with a value"
    return ApplicationError(message, details=json)


_Way: TypeAlias = Callable[[Any, str, dict[str, Any]], Any]


def _rebuild(json: dict[str, Any], known: KnownErrors) -> Exception | None:
    """Return the failure as its own class, if that is known and gives the same text again."""
    cls = known.find(json.get("module"), json.get("type"))
    if cls is None or not _is_whole(json, cls):
        return None
    message = _text(json.get("message"))
    ways: tuple[_Way, ...] = (_of_ours,) if cls.__module__ == errors.__name__ else (_constructed, _restored)
    for way in ways:
        try:
            error = way(cls, message, json)
            if isinstance(error, Exception) and message in {message_of(error), str(error)}:
                return error
        except Exception:  # noqa: BLE001, S112 - the class's constructor raises what it likes
            continue
    return None


def _is_whole(json: dict[str, Any], cls: type) -> bool:
    """Say whether nothing is missing of what the exception carried, or a constructor can't put other things there.

    One that the class has for itself may: made of the text alone, it would make attributes of that.
    """
    left_out = json.get("left_out")
    missing = [str(each) for each in left_out] if is_list(left_out) else []
    if not any(each.startswith(("args[", "attributes.")) for each in missing):
        return True
    return isinstance(inspect.getattr_static(cls, "__init__"), WrapperDescriptorType)


def _of_ours(cls: Any, message: str, json: dict[str, Any]) -> Exception:
    state = json.get("state")
    given = {name: value for name, value in state.items() if name in _STATE} if is_object(state) else {}
    if any(not isinstance(value, str) for name, value in given.items() if name != "details"):
        return ApplicationError(message)
    error: Exception = cls(message, **given)
    return error


def _constructed(cls: Any, message: str, json: dict[str, Any]) -> Any:
    """Make it as it was made, of its arguments, or of its text where these could not be written."""
    args = json.get("args")
    return _filled(cls(*map(load_argument, args)) if is_list(args) else cls(message), json)


def _restored(cls: Any, _message: str, json: dict[str, Any]) -> Any:
    """Put it together as it was, past a constructor that takes other arguments than the exception keeps."""
    args = json.get("args")
    if not is_list(args):
        return None
    loaded = tuple(map(load_argument, args))
    error = cls.__new__(cls, *loaded)
    error.args = loaded
    if isinstance(error, ResonateError):
        ResonateError.__init__(error, *loaded)
    return _filled(error, json)


def _filled(error: Any, json: dict[str, Any]) -> Any:
    """Give it back its attributes."""
    for source in ("state", "attributes"):
        given = json.get(source)
        for name, value in given.items() if is_object(given) else ():
            if _is_attribute(name, class_of(error)):
                given_value = value if source == "state" else load_argument(value)
                if isinstance(getattr(class_of(error), name, None), MemberDescriptorType):
                    setattr(error, name, given_value)
                else:
                    vars(error)[name] = given_value
    return error


def _application_error(json: dict[str, Any]) -> ApplicationError:
    message, name = json.get("message"), json.get("name")
    if not isinstance(message, str):
        return ApplicationError("the promise was rejected with a value", details=json)
    details = {key: value for key, value in json.items() if key not in _SHOWN}
    return ApplicationError(message, name=name if isinstance(name, str) else "", details=details or None)


_SHOWN: Final = frozenset({"__type", "message", "name", "notes", "cause", "context", "__py_pickle"})


def _dress(error: Exception, json: dict[str, Any], known: KnownErrors, depth: int) -> Exception:
    """Put notes, the first traceback and the causes on it."""
    notes = json.get("notes")
    for note in notes[:MAX_NOTES] if is_list(notes) else ():
        if isinstance(note, str):
            error.add_note(note)
    stack = json.get("stack")
    if isinstance(stack, str) and stack:
        error.add_note(f"{REMOTE}{stack}")
    if depth > 1 and "cause" in json:
        error.__cause__ = _load(json["cause"], known, depth - 1)
    elif depth > 1 and "context" in json:
        error.__context__ = _load(json["context"], known, depth - 1)
    return error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
