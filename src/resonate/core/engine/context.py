"""The Context: what a workflow calls to do something durable.

Law 1: a durable call starts at once and is awaited later, or never; awaiting it twice gives the same result.
Law 2: what a call is, and where it was made, is decided here; what becomes of it, in the execution.
Law 3: a Context is used inside its own workflow only; anywhere else its calls refuse.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import MethodType
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeAlias, TypeVar, overload

from attrs import evolve, frozen

from resonate.core import ids
from resonate.core.durations import Duration, milliseconds
from resonate.core.engine.callsite import calling_frame, site
from resonate.core.engine.children import STEP, Child, Durable, Role
from resonate.core.engine.execution import Execution
from resonate.core.engine.identity import CALLER, RUN, Identity, Kind, fingerprint
from resonate.core.engine.info import Info
from resonate.core.engine.loop import FIRST_COMPLETED, Branch, DurableLoop, Future, current_branch, wait
from resonate.core.engine.outcome import with_unawaited, with_unresolved
from resonate.core.engine.scope import Scope
from resonate.core.function import WORKFLOW, Function, check_call, describe, refuse_retry
from resonate.core.protocol.records import PromiseRecord, Tag, Value
from resonate.core.retry import RetryPolicy, check_policy
from resonate.core.values import UNTYPED, Call, Signature
from resonate.errors import CodecError, FunctionNotRegistered, UsageError

T = TypeVar("T")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
S = TypeVar("S")
P = ParamSpec("P")

AsyncWorkflow: TypeAlias = "Callable[Concatenate[Context, P], Coroutine[Any, Any, T]]"
GeneratorWorkflow: TypeAlias = "Callable[Concatenate[Context, P], Generator[Any, Any, T]]"
AsyncInfoStep: TypeAlias = "Callable[Concatenate[Info, P], Coroutine[Any, Any, T]]"
InfoStep: TypeAlias = "Callable[Concatenate[Info, P], T]"
AsyncStep: TypeAlias = "Callable[P, Coroutine[Any, Any, T]]"
Step: TypeAlias = "Callable[P, T]"


@frozen(kw_only=True)
class Options:
    """What `Context.options` and its like set; None leaves the default."""

    id: str | None = None
    timeout_ms: int | None = None
    target: str | None = None
    version: int | None = None
    retry: RetryPolicy | None = None
    tags: Mapping[str, str] | None = None


NO_OPTIONS = Options()


def options(
    *,
    base: Options = NO_OPTIONS,
    id: str | None = None,
    timeout: Duration | None = None,
    target: str | None = None,
    version: int | None = None,
    retry: RetryPolicy | None = None,
    tags: Mapping[str, str] | None = None,
) -> Options:
    """Return `base` with what is given here in place of its own. Raise `UsageError` for what can't be."""
    changes: dict[str, Any] = {}
    if id is not None:
        changes["id"] = _text(id, "id")
    if timeout is not None:
        changes["timeout_ms"] = milliseconds(timeout, "timeout")
    if target is not None:
        changes["target"] = _text(target, "target")
    if version is not None:
        if type(version) is not int or version < 1:
            msg = f"version is a whole number from 1, not {version!r}."
            raise UsageError(msg)
        changes["version"] = version
    if retry is not None:
        check_policy(retry)
        changes["retry"] = retry
    if tags is not None:
        changes["tags"] = _own_tags(tags)
    return evolve(base, **changes)


def refuse_target(chosen: Options, name: str) -> None:
    """Raise `UsageError` if a call that runs here was given a target."""
    if chosen.target is not None:
        raise UsageError(
            f"The target {chosen.target!r} is for a remote call, and run runs {name} in this process.",
            hint="Call it by rpc to have it run there, or leave the target out.",
        )


def _refuse_retry_of_remote(chosen: Options, name: str) -> None:
    if chosen.retry is not None:
        raise UsageError(
            f"A retry policy is for a step that runs here, and {name} runs wherever a worker takes it.",
            hint="Give it where the function is registered (register(retry=...)), or call it by run.",
        )


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value or "\x00" in value:
        msg = f"{what} is a non-empty string without NUL, not {value!r}."
        raise UsageError(msg)
    return value


def _own_tags(tags: Any) -> dict[str, str]:
    if not hasattr(tags, "items"):
        raise UsageError(f"tags are texts by text, not {type(tags).__name__}.", hint="Such as {'shop': 'north'}.")
    for key, value in tags.items():
        _text(key, "a tag's name")
        if not isinstance(value, str):
            msg = f"The tag {key!r} is a string, not {type(value).__name__}."
            raise UsageError(msg)
        if key.startswith("resonate:"):
            msg = f"The tag {key!r} is set by resonate itself."
            raise UsageError(msg, hint="Choose a name without the prefix 'resonate:'.")
    return dict(tags)


class Context:
    """A workflow's door to everything durable. It is the first parameter of a workflow."""

    __resonate_context__: ClassVar[bool] = True
    __slots__ = ("_execution", "_options", "_scope")

    def __init__(self, execution: Execution, scope: Scope, chosen: Options = NO_OPTIONS) -> None:
        self._execution = execution
        self._scope = scope
        self._options = chosen

    # ------------------------------------------------------------ calls that run here

    @overload
    def run(self, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def run(self, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def run(self, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def run(self, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def run(self, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def run(self, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def run(self, fn: str, /, *args: Any, **kwargs: Any) -> Durable[Any]: ...

    def run(self, fn: Any, /, *args: Any, **kwargs: Any) -> Durable[Any]:
        """Run a step, or another workflow, in this process; await the result.

        It starts at once. Its result is recorded once and is the same in every replay. A step that fails is
        tried again by its retry policy; what it raises in the end is raised where the result is awaited.

        Raise `UsageError` if the arguments do not fit the function, `EncodingError` if one can't be recorded.
        """
        return self._run(fn, args, kwargs, calling_frame(1)).awaitable

    @overload
    def begin_run(self, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_run(self, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_run(self, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_run(self, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_run(self, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_run(self, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_run(self, fn: str, /, *args: Any, **kwargs: Any) -> Future[Durable[Any]]: ...

    def begin_run(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Durable[Any]]:
        """Start like `run`, and await the handle, given once the call is durable; await the handle for the result."""
        return self._execution.acknowledge(self._run(fn, args, kwargs, calling_frame(1)))

    @overload
    async def map(
        self, fn: Callable[[Context, S], Coroutine[Any, Any, T]], items: Iterable[S], *, limit: int | None = None
    ) -> list[T]: ...
    @overload
    async def map(
        self, fn: Callable[[Context, S], Generator[Any, Any, T]], items: Iterable[S], *, limit: int | None = None
    ) -> list[T]: ...
    @overload
    async def map(
        self, fn: Callable[[Info, S], Coroutine[Any, Any, T]], items: Iterable[S], *, limit: int | None = None
    ) -> list[T]: ...
    @overload
    async def map(self, fn: Callable[[Info, S], T], items: Iterable[S], *, limit: int | None = None) -> list[T]: ...
    @overload
    async def map(
        self, fn: Callable[[S], Coroutine[Any, Any, T]], items: Iterable[S], *, limit: int | None = None
    ) -> list[T]: ...
    @overload
    async def map(self, fn: Callable[[S], T], items: Iterable[S], *, limit: int | None = None) -> list[T]: ...
    @overload
    async def map(self, fn: str, items: Iterable[Any], *, limit: int | None = None) -> list[Any]: ...

    async def map(self, fn: Any, items: Iterable[Any], *, limit: int | None = None) -> list[Any]:
        """Run `fn` for each item, at most `limit` at once, and return the results in the items' order.

        The first failure cancels the rest and is raised.
        """
        if limit is not None and limit < 1:
            msg = f"limit is at least 1, not {limit}."
            raise UsageError(msg)
        frame = calling_frame(0)  # a coroutine has no caller: the place is map itself
        branch = self._branch().fork()
        fan = _Fan(lambda item: self._run(fn, (item,), {}, frame, branch).awaitable, self._execution.loop)
        return await fan.all(list(items), limit)

    # ------------------------------------------------------------ calls that run anywhere

    @overload
    def rpc(self, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def rpc(self, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def rpc(self, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def rpc(self, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def rpc(self, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def rpc(self, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Durable[T]: ...
    @overload
    def rpc(self, fn: str, /, *args: Any, **kwargs: Any) -> Durable[Any]: ...

    def rpc(self, fn: Any, /, *args: Any, **kwargs: Any) -> Durable[Any]:
        """Call a function on any worker of the target group, by name or by itself; await the result.

        Without `options(target=...)` the target is this worker's own group.
        """
        return self._rpc(fn, args, kwargs, calling_frame(1)).awaitable

    @overload
    def begin_rpc(self, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_rpc(self, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_rpc(self, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_rpc(self, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_rpc(self, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_rpc(self, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[Durable[T]]: ...
    @overload
    def begin_rpc(self, fn: str, /, *args: Any, **kwargs: Any) -> Future[Durable[Any]]: ...

    def begin_rpc(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Durable[Any]]:
        """Call like `rpc`, and await the handle, given once the call is durable; await the handle for the result."""
        return self._execution.acknowledge(self._rpc(fn, args, kwargs, calling_frame(1)))

    def detached(self, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Durable[str]:
        """Start an independent execution; await its id. This workflow neither awaits it nor outlives its failure.

        It has a root id of its own, and a deadline of its own.
        """
        frame = calling_frame(1)
        name, version, signature = self._callee(fn, args, kwargs)
        _refuse_retry_of_remote(self._options, name)
        own_id = self._execution.draw_id(chosen=self._root_id() or self._independent_id())
        param = self._encode(Call(func=name, args=args, kwargs=kwargs, version=version), signature, own_id)
        chosen = self._options
        return self._execution.ask(
            Role.DETACHED,
            _identity(Kind.DETACHED, name, version, param, frame),
            scope=self._scope,
            param=Value({**param.headers, CALLER: self._scope.id}, param.data),
            signature=signature,
            id=own_id,
            timeout_ms=chosen.timeout_ms,
            tags={**(chosen.tags or {}), "resonate:target": self._execution.env.address(chosen.target)},
            convert=_id_of,
        ).awaitable

    # ------------------------------------------------------------ waiting

    def sleep(self, duration: Duration) -> Durable[None]:
        """Wait durably for seconds or a timedelta: nothing runs, and no worker is held, meanwhile."""
        return self._sleep(milliseconds(duration, "a sleep"), calling_frame(1))

    def sleep_until(self, instant: datetime) -> Durable[None]:
        """Wait durably until an instant, which must carry a time zone. One that has passed returns at once."""
        if getattr(instant, "tzinfo", None) is None:
            msg = f"sleep_until takes a datetime with a time zone, not {instant!r}."
            raise UsageError(msg, hint="Use datetime.now(UTC) and its like, or ctx.now().")
        at = round(instant.timestamp() * 1000)
        frame = calling_frame(1)
        now = self._execution.now
        identity = Identity(Kind.SLEEP, args=f"until {at}", site=site(frame))
        return self._execution.ask(
            Role.TIMER,
            identity,
            scope=self._scope,
            id=self._execution.draw_id(chosen=self._chosen_id()),
            timeout_ms=max(at - now, 0),
            tags=self._options.tags,
        ).awaitable

    @overload
    def promise(self, *, returns: type[T], timeout: Duration | None = None) -> Future[Durable[T]]: ...
    @overload
    def promise(self, *, returns: Any = Any, timeout: Duration | None = None) -> Future[Durable[Any]]: ...

    def promise(self, *, returns: Any = Any, timeout: Duration | None = None) -> Future[Durable[Any]]:
        """Make a promise that is settled from outside; await the handle, hand out its `id`, await the handle again.

        Args:
            returns: the type that its value is read as.
            timeout: past it the waiter gets `PromiseTimedOut`; by default as long as the workflow itself may take.
        """
        frame = calling_frame(1)
        chosen = self._options
        timeout_ms = chosen.timeout_ms if timeout is None else milliseconds(timeout, "timeout")
        child = self._execution.ask(
            Role.PROMISE,
            Identity(Kind.PROMISE, site=site(frame)),
            scope=self._scope,
            id=self._execution.draw_id(chosen=self._chosen_id()),
            timeout_ms=timeout_ms,
            tags=chosen.tags,
            returns=returns,
        )
        return self._execution.acknowledge(child)

    @overload
    async def race(self, one: Awaitable[T], /) -> T: ...
    @overload
    async def race(self, one: Awaitable[T], two: Awaitable[T2], /) -> T | T2: ...
    @overload
    async def race(self, one: Awaitable[T], two: Awaitable[T2], three: Awaitable[T3], /) -> T | T2 | T3: ...
    @overload
    async def race(self, *contestants: Awaitable[T]) -> T: ...

    async def race(self, *contestants: Awaitable[Any]) -> Any:
        """Return the result (or raise the error) of the first to be done, and cancel the others.

        Which one it was is recorded: a replay has the same winner whatever the clocks say.
        """
        if not contestants:
            msg = "race takes at least one awaitable."
            raise UsageError(msg)
        loop = self._execution.loop
        futures: list[Future[Any]] = [_future(one, loop) for one in contestants]
        try:
            await wait(futures, return_when=FIRST_COMPLETED)
            first = next(number for number, future in enumerate(futures) if future.done())
            winner: int = await self._record("race", first)
            won = futures[winner]
            if not won.done():
                await wait([won])
            return won.result()
        finally:  # also when the race itself is canceled
            _give_up(futures)

    # ------------------------------------------------------------ what would else not be the same twice

    def now(self) -> Durable[datetime]:
        """Await the time of day, in UTC; it is recorded, so that a replay has the same."""
        return self._record("now", self._execution.now, _datetime_of)

    @property
    def random(self) -> Any:
        """A `random.Random` that gives the same numbers in every replay; each task of the workflow has its own."""
        branch = self._branch()
        if branch.random is None:
            branch.random = self._execution.env.random(f"{self._execution.id}/{branch.id}")
        return branch.random

    def uuid4(self) -> uuid.UUID:
        """Return a UUID that is the same in every replay."""
        return uuid.UUID(int=self.random.getrandbits(128), version=4)

    # ------------------------------------------------------------ facts and settings

    def options(
        self,
        *,
        id: str | None = None,
        timeout: Duration | None = None,
        target: str | None = None,
        version: int | None = None,
        retry: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Context:
        """Return a Context whose next calls are made with these settings.

        Args:
            id: the promise's id, in place of the counted one.
            timeout: how long the promise may stay pending; capped by the workflow's own deadline.
            target: the worker group, or the address, that a remote call goes to; `run` and its like refuse it.
            version: the function version to call.
            retry: the retry policy of a step that runs here; `rpc` and its like refuse it.
            tags: tags of the promise, for searches.
        """
        chosen = options(
            base=self._options, id=id, timeout=timeout, target=target, version=version, retry=retry, tags=tags
        )
        return Context(self._execution, self._scope, chosen)

    @overload
    def get_dependency(self, key: type[T]) -> T: ...
    @overload
    def get_dependency(self, key: str) -> Any: ...

    def get_dependency(self, key: Any) -> Any:
        """Return the object registered under `key`. Raise `UsageError` if there is none."""
        return self._execution.env.dependencies.get(key)

    @property
    def id(self) -> str:
        """The id of this workflow's own promise."""
        return self._scope.id

    @property
    def info(self) -> Info:
        """Facts about this workflow's own promise."""
        return Info(
            id=self._scope.id,
            execution=self._execution.id,
            function=self._scope.function.name,
            version=self._scope.function.version,
            attempt=self._execution.version,
            timeout_at=self._scope.timeout_at,
            dependencies=self._execution.env.dependencies,
        )

    @property
    def scheduled_at(self) -> datetime | None:
        """The instant of the schedule that this execution is for, in UTC; None if no schedule has started it.

        It stays the schedule's instant where the execution begins later: to catch up, or for want of a free worker. A
        workflow that runs inside another sees that of the outer one; one that is called by `rpc` sees None. It is read
        off the end of the execution's id, where `schedule` has it written; None if somebody else's schedule has not.
        """
        promise = self._execution.promise
        schedule = promise.tags.get(Tag.SCHEDULE)
        ms = None if schedule is None else ids.instant(promise.id, schedule)
        return None if ms is None else _datetime_of(ms)

    @property
    def logger(self) -> Any:
        """A `logging` logger that carries the execution's ids and is silent while history is replayed."""
        scope, execution = self._scope, self._execution
        if scope.logger is None:
            scope.logger = execution.env.logger(
                scope.function.name, lambda: execution.facts(scope), lambda: execution.replaying
            )
        return scope.logger

    # ------------------------------------------------------------ the other SDKs' words

    lfc = run
    lfi = begin_run
    rfc = rpc
    rfi = begin_rpc

    # ------------------------------------------------------------ inside

    def _run(
        self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frame: Any, branch: Branch | None = None
    ) -> Child:
        chosen = self._options
        function = self._function(fn)
        refuse_target(chosen, function.name)
        check_call(function, args, kwargs)
        child_id = self._execution.draw_id(branch, self._chosen_id())
        call = Call(function.name, args, kwargs, function.version)
        param = self._encode(call, function.signature, child_id)
        workflow = function.kind is WORKFLOW
        if workflow:
            refuse_retry(function.fn, chosen.retry)
        timeout_ms = chosen.timeout_ms if chosen.timeout_ms is not None else function.timeout_ms
        return self._execution.ask(
            Role.WORKFLOW if workflow else STEP,
            _identity(RUN, function.name, function.version, param, frame),
            scope=self._scope,
            param=param,
            signature=function.signature,
            call=call,
            id=child_id,
            timeout_ms=timeout_ms,
            tags=chosen.tags,
            function=function,
            retry=chosen.retry,
            returns=function.signature.returns,
            by_name=isinstance(fn, str) and chosen.version is None,
        )

    def _rpc(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frame: Any) -> Child:
        chosen = self._options
        name, version, signature = self._callee(fn, args, kwargs)
        _refuse_retry_of_remote(chosen, name)
        child_id = self._execution.draw_id(chosen=self._chosen_id())
        param = self._encode(Call(func=name, args=args, kwargs=kwargs, version=version), signature, child_id)
        return self._execution.ask(
            Role.REMOTE,
            _identity(Kind.RPC, name, version, param, frame),
            scope=self._scope,
            param=param,
            signature=signature,
            id=child_id,
            timeout_ms=chosen.timeout_ms,
            tags={**(chosen.tags or {}), "resonate:target": self._execution.env.address(chosen.target)},
            returns=signature.returns,
        )

    def _sleep(self, duration_ms: int, frame: Any) -> Durable[None]:
        return self._execution.ask(
            Role.TIMER,
            Identity(Kind.SLEEP, args=str(duration_ms), site=site(frame)),
            scope=self._scope,
            id=self._execution.draw_id(chosen=self._chosen_id()),
            timeout_ms=duration_ms,
            tags=self._options.tags,
        ).awaitable

    def _record(self, what: str, value: object, read: Callable[[Any], Any] = lambda value: value) -> Durable[Any]:
        codec = self._execution.env.codec
        child_id = self._execution.draw_id()

        def convert(record: PromiseRecord) -> Any:
            return read(codec.decode(record.param, Any, at=record.id))

        return self._execution.ask(
            Role.RECORD,
            Identity(Kind.RECORD, call=what),
            scope=self._scope,
            param=codec.encode(value, Any, at=child_id),
            id=child_id,
            convert=convert,
        ).awaitable

    def _function(self, fn: Any) -> Function:
        registry = self._execution.env.registry
        if isinstance(fn, str):
            return registry.get(fn, self._options.version)
        version = self._options.version
        function = registry.of(fn, version)
        if function is not None:
            return function
        other = registry.of(fn)
        return _described(fn) if other is None else registry.get(other.name, version)

    def _callee(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, int | None, Signature]:
        """Return name, version and types of a function that runs elsewhere; it need not be known here."""
        if isinstance(fn, str):
            name = _text(fn, "a function's name")
            try:
                function = self._execution.env.registry.get(name, self._options.version)
            except FunctionNotRegistered:
                return name, self._options.version, UNTYPED
        else:
            function = self._function(fn)
        check_call(function, args, kwargs)
        return (
            function.name,
            self._options.version or (None if isinstance(fn, str) else function.version),
            function.signature,
        )

    def _encode(self, call: Call, signature: Signature, child_id: str) -> Value:
        try:
            return self._execution.env.codec.encode_call(call, signature, at=child_id)
        except CodecError as error:
            error.execution = self._execution.id
            error.step = error.step or f"{self._scope.id}, calling {call.func}"
            with_unresolved(error, signature)
            with_unawaited(error, *call.args, *call.kwargs.values())
            raise

    def _chosen_id(self) -> str | None:
        """Return the id that the options set, checked: it must belong to this execution's origin."""
        chosen = self._options.id
        if chosen is None:
            return None
        execution = self._execution
        separator = execution.env.dialect.separator
        origin = ids.origin(execution.id, separator)
        if not chosen.startswith(origin + separator):
            msg = f"The id {chosen!r} does not belong to the execution {execution.id}."
            raise UsageError(msg, hint=f"Let it begin with {origin + separator!r}, or use ctx.detached.")
        if ids.is_own(origin, chosen, separator) or not ids.is_unicode(chosen):
            msg = f"The id {chosen!r} has a segment 0, or a lone surrogate."
            raise UsageError(msg, hint="Choose another name for it, such as a word.")
        return chosen

    def _root_id(self) -> str | None:
        """Return the id that the options set, checked: a detached execution's is a root."""
        chosen = self._options.id
        if chosen is not None:
            ids.check_root_id(chosen, self._execution.env.dialect.separator)
        return chosen

    def _independent_id(self) -> str:
        """Return a root id that follows from this call's place, no longer than its origin's, however deep the chain."""
        place = self._branch().next_id()
        stem = ids.origin(self._execution.id, self._execution.env.dialect.separator).partition("~")[0]
        return f"{stem}~{fingerprint(place)}"

    def _branch(self) -> Branch:
        branch = current_branch()
        if branch is None:
            msg = "A workflow's Context was used from outside of the workflow."
            raise UsageError(msg, hint="Use it in the workflow's own code only.", execution=self._execution.id)
        return branch


def _future(awaitable: Awaitable[T], loop: DurableLoop) -> Future[T]:
    return awaitable if isinstance(awaitable, Future) else loop.create_task(awaitable)


def _give_up(futures: Iterable[Future[Any]]) -> None:
    """Cancel what nobody waits for any more. How it ends, or has ended, is not to be heard of."""
    for future in futures:
        future.cancel()
        if future.done():
            _hear(future)
        else:
            future.add_done_callback(_hear)  # a task, which may yet fail


def _hear(future: Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


class _Fan:
    """Run calls with a bound on how many are open, each started in order. Costs the same for each, however many."""

    def __init__(self, start: Callable[[Any], Durable[Any]], loop: DurableLoop) -> None:
        self._start = start
        self._loop = loop
        self._finished: deque[Future[Any]] = deque()
        self._signal: Future[None] | None = None

    async def all(self, items: list[Any], limit: int | None) -> list[Any]:
        results: list[Any] = [None] * len(items)
        open_: dict[Future[Any], int] = {}
        started = 0
        try:
            while started < len(items) or open_:
                while started < len(items) and (limit is None or len(open_) < limit):
                    future = self._start(items[started])
                    open_[future] = started
                    future.add_done_callback(self._on_done)
                    started += 1
                for finished in await self._next():
                    results[open_.pop(finished)] = finished.result()
        finally:
            _give_up(open_)
        return results

    async def _next(self) -> list[Future[Any]]:
        self._signal = self._loop.create_future()
        await self._signal  # nothing can have finished before: what is started here is heard of in a later turn
        self._signal = None
        finished: list[Future[Any]] = list(self._finished)
        self._finished.clear()
        return finished

    def _on_done(self, future: Future[Any]) -> None:
        self._finished.append(future)
        if self._signal is not None and not self._signal.done():
            self._signal.set_result(None)


def _id_of(record: PromiseRecord) -> str:
    return record.id


def _datetime_of(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _identity(kind: Kind, name: str, version: int | None, param: Value, frame: Any) -> Identity:
    call = name if version is None else f"{name}@{version}"
    return Identity(kind, call, fingerprint(param.data), site(frame))


_DESCRIBED: Final = "__resonate_described__"


def _described(fn: Any) -> Function:
    """Return what is known of an unregistered function; looked at once.

    It is kept on the function itself: in a table beside it, it would keep the function, and all it closes over, alive.
    """
    if isinstance(fn, MethodType):
        return evolve(_kept(fn.__func__, fn), fn=fn)
    return _kept(fn, fn)


def _kept(owner: Any, fn: Any) -> Function:
    found: Function | None = getattr(owner, "__dict__", {}).get(_DESCRIBED)
    if found is None or found.fn is not owner:  # functools.wraps hands a function's attributes on
        found = evolve(describe(fn), fn=owner)
        with suppress(AttributeError):
            setattr(owner, _DESCRIBED, found)
    return found
