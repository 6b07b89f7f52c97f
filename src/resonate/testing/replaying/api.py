"""`replay` and `replay_folder`: from a recording to a verdict."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TypeAlias

from resonate import Resonate
from resonate import sync as blocking
from resonate.adapters.codecs.json import JsonCodec
from resonate.core.engine.environment import Dependencies
from resonate.core.engine.identity import ARGS, CALL, KIND, SITE, Identity, Kind, code_of
from resonate.core.function import Function, FunctionKind, check_call, describe
from resonate.core.protocol.records import PromiseRecord, PromiseState, Value
from resonate.core.registry import Registry
from resonate.core.values import UNTYPED, Call, Codec, Signature, place_of_param
from resonate.errors import CodecError, FunctionNotRegistered, NondeterminismError, ResonateError, UsageError
from resonate.runtime.recording import Recording
from resonate.testing.inside import settings_of
from resonate.testing.replaying.differences import differences
from resonate.testing.replaying.run import Asked, Course, run
from resonate.testing.replaying.verdict import Agreement, Side, Verdict
from resonate.wiring import Settings

Functions: TypeAlias = Resonate | blocking.Resonate | Registry | ModuleType | Iterable[Callable[..., Any]]
"""Where the functions are: a client, a module, or the functions themselves."""


def replay(
    recording: Recording | str | Path,
    functions: Functions | Callable[..., Any],
    *,
    codec: Codec | None = None,
    dependencies: Dependencies | None = None,
    debug: bool = False,
) -> Verdict:
    """Run a recorded execution through today's code, offline, and say whether it still does the same.

    No step runs, and nothing is written anywhere; what the workflow itself does, it does. It runs in the calling
    thread, so a `breakpoint()` in it stops as anywhere.

    Args:
        recording: a recording, or the path of one.
        functions: what is registered today: the client, or the functions, or a module with them.
        codec: reads and writes values; the client's own, or `JsonCodec()`.
        dependencies: what `ctx.get_dependency` gives; the client's own, or none.
        debug: stop in pdb at the call that differs.

    Raise `DecodingError` for a file that is no recording.
    """
    recorded = recording if isinstance(recording, Recording) else Recording.load(recording)
    settings = _settings(functions)
    registry = _registry(functions) if settings is None else settings.registry
    if codec is None:
        codec = JsonCodec() if settings is None else settings.codec
    if dependencies is None:
        dependencies = Dependencies() if settings is None else settings.dependencies
    return _Replay(recorded, registry, codec).verdict(dependencies, debug=debug)


def replay_folder(
    folder: str | Path, functions: Functions | Callable[..., Any], *, codec: Codec | None = None
) -> list[Verdict]:
    """Replay every recording (`*.json`) of a folder; raise `AssertionError` with all reports if one differs.

    As a test, it is a gate for deployments: what is in flight will go on with this code.
    """
    files = sorted(Path(folder).rglob("*.json"))
    if not files:
        raise UsageError(f"There are no recordings in {folder}.", hint="Write some with `resonate record`.")
    verdicts = [replay(file, functions, codec=codec) for file in files]
    different = [str(verdict) for verdict in verdicts if not verdict.agrees]
    if different:
        raise AssertionError(f"{len(different)} of {len(files)} recordings differ.\n" + "\n".join(different))
    return verdicts


def _settings(functions: Any) -> Settings | None:
    return settings_of(functions) if isinstance(functions, Resonate | blocking.Resonate) else None


def _registry(functions: Any) -> Registry:
    if isinstance(functions, Registry):
        return functions
    registry = Registry()
    if isinstance(functions, ModuleType):
        found = [one for one in vars(functions).values() if getattr(one, "__module__", None) == functions.__name__]
        given: list[Any] = [one for one in found if callable(one) and not isinstance(one, type)]
    else:
        given = [functions] if callable(functions) else list(functions)
    for fn in given:
        try:
            registry.add(fn if isinstance(fn, Function) else describe(fn))
        except UsageError:
            if not isinstance(functions, ModuleType):
                raise  # in a module there may be functions that are neither workflows nor steps
    return registry


class _Replay:
    """One recording on its way to a verdict."""

    def __init__(self, recording: Recording, registry: Registry, codec: Codec) -> None:
        self._recording = recording
        self._registry = registry
        self._codec = codec
        self._function = recording.function

    def verdict(self, dependencies: Dependencies, *, debug: bool) -> Verdict:
        """Replay, and judge."""
        recording, registry, codec = self._recording, self._registry, self._codec
        try:
            begun_by = code_of(recording.history)
            call = codec.decode_call(
                recording.promise.param,
                lambda name, version: registry.get(name, version or begun_by).signature,
                at=place_of_param(recording.promise),
            )
            function = registry.get(call.func, call.version or begun_by)
            check_call(function, call.args, call.kwargs)
        except (FunctionNotRegistered, CodecError, UsageError) as error:
            return self._differs(0, f"the code can't take it up: {error}")
        self._function = f"{function.name}@{function.version}"
        if function.kind is FunctionKind.STEP:
            return self._agrees(0, Agreement.WHOLE if self._is_over else Agreement.SO_FAR, "It is a step.")
        course = run(recording, function, call, registry=registry, codec=codec, dependencies=dependencies, debug=debug)
        return self._judge(course)

    @property
    def _is_over(self) -> bool:
        return self._recording.promise.state is not PromiseState.PENDING

    @property
    def _ended_by_itself(self) -> bool:
        return self._recording.promise.state in {PromiseState.RESOLVED, PromiseState.REJECTED}

    def _judge(self, course: Course) -> Verdict:
        if course.different is not None and isinstance(course.error, NondeterminismError):
            return self._other_call(course, *course.different)
        if course.error is not None:
            return self._differs(course.asked, f"the engine stopped it: {course.error}")
        if course.unasked:
            return self._no_longer_asked(course, course.unasked[0])
        if course.news and self._ended_by_itself:
            return self._asks_for_more(course, course.news[0])
        if course.outcome is not None:
            return self._ends(course, course.outcome.state, course.outcome.value)
        if self._ended_by_itself:
            waits = ", ".join(course.awaiting) or "nothing"
            ended = self._ending(self._recording.promise.state, self._recording.promise.value)
            return self._differs(
                course.asked + 1,
                "the recorded execution has ended, and the code still waits.",
                recorded=Side(what=ended),
                asked=Side(what=f"waits for {waits}"),
            )
        return self._agrees(course.asked, Agreement.SO_FAR, _goes_on(course))

    # ------------------------------------------------------------ differences

    def _other_call(self, course: Course, asked: Asked, record: PromiseRecord) -> Verdict:
        headers = record.param.headers
        kind, call, args = headers.get(KIND, ""), headers.get(CALL, ""), headers.get(ARGS, "")
        same = kind == asked.identity.kind and call == asked.identity.call
        return self._differs(
            course.asked,
            "the arguments are not the recorded ones." if same else "the code asks for something else.",
            id=record.id,
            recorded=self._recorded_side(record),
            asked=_asked_side(asked),
            arguments=self._arguments(asked, record, args) if same else (),
        )

    def _no_longer_asked(self, course: Course, record: PromiseRecord) -> Verdict:
        asked = Side()
        if course.news:
            asked = _asked_side(course.news[0])
        elif course.outcome is not None:
            asked = Side(what=self._ending(course.outcome.state, course.outcome.value))
        elif course.awaiting:
            asked = Side(what=f"waits for {', '.join(course.awaiting[:5])}")
        return self._differs(
            course.asked + 1,
            "it was recorded, and the code does not ask for it.",
            id=record.id,
            recorded=self._recorded_side(record),
            asked=asked,
        )

    def _asks_for_more(self, course: Course, asked: Asked) -> Verdict:
        promise = self._recording.promise
        return self._differs(
            course.asked + 1,
            "the code asks for it, and the recorded execution ended without.",
            id=asked.id,
            recorded=Side(what=self._ending(promise.state, promise.value)),
            asked=_asked_side(asked),
        )

    def _ends(self, course: Course, state: PromiseState, value: Value) -> Verdict:
        if not self._ended_by_itself:
            return self._agrees(course.asked, Agreement.SO_FAR, "Then it ends.")
        promise = self._recording.promise
        returns = self._registry.get(*_named(self._function)).signature.returns
        try:
            before = self._outcome(promise.state, promise.value, returns)
        except CodecError as error:
            return self._differs(course.asked + 1, f"the recorded result can't be read any more: {error}")
        now = self._outcome(state, value, returns)
        found = differences(before, now) if promise.state is state else [""]
        if not found:
            return self._agrees(course.asked, Agreement.WHOLE)
        return self._differs(
            course.asked + 1,
            "it ends otherwise.",
            id=promise.id,
            recorded=Side(what=self._ending(promise.state, promise.value)),
            asked=Side(what=self._ending(state, value)),
            arguments=tuple(one for one in found if one),
        )

    def _arguments(self, asked: Asked, record: PromiseRecord, args: str) -> tuple[str, ...]:
        if asked.identity.kind is Kind.SLEEP:
            return (f"duration: {_seconds(args)} was recorded, now it is {_seconds(asked.identity.args)}",)
        calls = self._calls(asked, record)
        if calls is None:
            return (_written(record.param, asked.param),)
        before, now = calls
        found = [*differences(before.args, now.args, "args"), *differences(before.kwargs, now.kwargs, "kwargs")]
        return tuple(found) or (f"They read alike, and are written otherwise: {_written(record.param, asked.param)}",)

    def _calls(self, asked: Asked, record: PromiseRecord) -> tuple[Call, Call] | None:
        """Return the recorded call and the one that is asked for, both read by today's types, or else by none."""

        def typed(name: str, version: int | None) -> Signature:
            return self._registry.get(name, version).signature if asked.signature is None else asked.signature

        def untyped(_name: str, _version: int | None) -> Signature:
            return UNTYPED

        for types in (typed, untyped):
            try:
                before = self._codec.decode_call(record.param, types, at=place_of_param(record))
                return before, self._codec.decode_call(asked.param, types, at=asked.id)
            except ResonateError:
                continue
        return None

    def _recorded_side(self, record: PromiseRecord) -> Side:
        headers = record.param.headers
        what = f"{headers.get(KIND, '')} {headers.get(CALL, '')}".strip() or "a promise that does not say what made it"
        return Side(what=what, place=headers.get(SITE, ""))

    def _ending(self, state: PromiseState, value: Value) -> str:
        try:
            returns = self._registry.get(*_named(self._function)).signature.returns
            return f"ends {state.value} with {_cut(repr(self._outcome(state, value, returns)))}"
        except ResonateError:
            return f"ends {state.value}"

    def _outcome(self, state: PromiseState, value: Value, returns: Any) -> Any:
        """Return what a workflow ended with, so that two of them can be compared; an error by its type and text."""
        if state is PromiseState.RESOLVED:
            return self._codec.decode(value, returns, at=self._recording.id)
        if state is PromiseState.REJECTED:
            error = self._codec.decode_error(value, at=self._recording.id)
            return (type(error).__name__, str(error))
        return state.value

    # ------------------------------------------------------------ verdicts

    def _agrees(self, step: int, agreement: Agreement, reason: str = "") -> Verdict:
        return Verdict(
            execution=self._recording.id,
            function=self._function,
            agreement=agreement,
            step=step,
            of=len(self._recording.history),
            reason=reason,
        )

    def _differs(self, step: int, reason: str, **more: Any) -> Verdict:
        return Verdict(
            execution=self._recording.id,
            function=self._function,
            agreement=Agreement.NONE,
            step=step,
            of=len(self._recording.history),
            reason=reason,
            **more,
        )


def _written(recorded: Value, asked: Value) -> str:
    return f"arguments: {_cut(recorded.data)} was recorded, now it is {_cut(asked.data)}"


def _goes_on(course: Course) -> str:
    if course.news:
        one = course.news[0]
        return f"Then it asks for {_what(one.identity)} at {one.id}."
    return f"It waits for {', '.join(course.awaiting[:5])}." if course.awaiting else ""


def _asked_side(asked: Asked) -> Side:
    place, line = _where(asked.frame, asked.line)
    return Side(what=_what(asked.identity), place=place or asked.identity.site, line=line)


def _what(identity: Identity) -> str:
    return f"{identity.kind} {identity.call}".strip()


def _where(frame: FrameType | None, number: int) -> tuple[str, str]:
    if frame is None:
        return "", ""
    path = frame.f_code.co_filename
    return f"{path}:{number}", linecache.getline(path, number).strip()


def _named(function: str) -> tuple[str, int | None]:
    name, _, version = function.rpartition("@")
    return (name, int(version)) if name and version.isdecimal() else (function, None)


def _seconds(milliseconds: str) -> str:
    return f"{int(milliseconds) / 1000:g} s" if milliseconds.isdecimal() else milliseconds


def _cut(text: str | None, most: int = 200) -> str:
    shown = "nothing" if text is None else text
    return shown if len(shown) <= most else shown[: most - 3] + "..."
