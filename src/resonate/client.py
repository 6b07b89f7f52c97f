"""The client: register functions, start and await executions, settle promises, keep schedules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

from resonate import wiring
from resonate.core import ids
from resonate.core.durations import Duration, milliseconds
from resonate.core.engine.context import (
    AsyncInfoStep,
    AsyncStep,
    AsyncWorkflow,
    GeneratorWorkflow,
    InfoStep,
    Options,
    Step,
    options,
)
from resonate.core.engine.identity import Identity, Kind, fingerprint
from resonate.core.function import check_call, describe
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, ScheduleRecord, Tag, Value
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseCreate,
    PromiseGet,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    ScheduleCreate,
    ScheduleDelete,
    ScheduleGet,
    ScheduleSearch,
    Status,
    TaskCreate,
)
from resonate.core.retry import RetryPolicy
from resonate.core.values import UNTYPED, Call, Codec, Signature
from resonate.errors import (
    ApplicationError,
    CodecError,
    Conflict,
    FunctionNotRegistered,
    NotFound,
    StoreError,
    UsageError,
)
from resonate.ports.clock import Clock
from resonate.ports.store import Backend
from resonate.ports.tracer import Tracer
from resonate.runtime.handle import Handle, promise_of

T = TypeVar("T")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


class Resonate:
    """Durable execution for this process: a worker, and a client of everything that it works on.

    Use it as an async context manager; making one starts nothing. It belongs to the event loop that entered it.

    Args:
        backend: where promises live: a URL, a Backend, or None for RESONATE_URL (by default this process's memory).
        group: the worker group that this process is a member of (RESONATE_GROUP, "default").
        pid: this process's name in the group; unique, made up if not given.
        codec: how values are written; `JsonCodec()` by default.
        clock: where time comes from; the backend's own by default.
        tracers: who hears of lifecycle events.
        concurrency: how many executions are driven at once; suspended ones do not count.
        continuations: how many suspended workflows are kept in memory to go on in place; 0 replays each time.
        threads: how many `def` steps run at once.
        ttl: length of a task's lease: how long after a crash another worker takes over.
        grace: how long `async with` waits at its end for what runs before it gives it to other workers.
        timeout: how long a promise may stay pending unless its call says otherwise.
        retry: the retry policy of steps that name none.
    """

    def __init__(
        self,
        backend: str | Backend | None = None,
        *,
        group: str | None = None,
        pid: str | None = None,
        codec: Codec | None = None,
        clock: Clock | None = None,
        tracers: Iterable[Tracer] = (),
        concurrency: int = 1_000,
        continuations: int = 1_000,
        threads: int | None = None,
        ttl: Duration = 60.0,
        grace: Duration = 10.0,
        timeout: Duration = 86_400.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._settings = wiring.settings(
            backend,
            group=group,
            pid=pid,
            codec=codec,
            clock=clock,
            tracers=tracers,
            concurrency=concurrency,
            continuations=continuations,
            threads=threads,
            ttl=ttl,
            grace=grace,
            timeout=timeout,
            retry=retry,
        )
        self._life = _Life()
        self._options = Options()
        self.promises = Promises(self)
        self.schedules = Schedules(self)

    # ------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        """Connect, and take tasks from now on."""
        if self._parts is not None:
            msg = "This client is open already."
            raise UsageError(msg, hint="Make another Resonate for another `async with`.")
        parts = wiring.parts(self._settings)
        await parts.store.start()
        self._life.parts = parts
        parts.worker.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Take no more tasks, wait for what runs (up to `grace`), give back the rest, close the connection last."""
        parts = self._parts
        if parts is None:
            return
        try:
            await parts.worker.stop(self._settings.grace_ms)
        finally:  # also when it is canceled: no lease may be kept by what nobody drives
            await parts.worker.kill()
            await self._close(parts)

    async def _kill(self) -> None:
        """Drop everything without another request, as if the process had died. For tests."""
        parts = self._parts
        if parts is not None:
            await parts.worker.kill()
            await self._close(parts)

    async def _close(self, parts: wiring.Parts) -> None:
        self._life.parts = None
        parts.alarms.stop()
        parts.watcher.stop(UsageError("The client was closed while a result was awaited.", hint=_OPEN))
        await parts.store.stop()
        parts.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _parts(self) -> wiring.Parts | None:
        return self._life.parts

    @property
    def _open(self) -> wiring.Parts:
        if self._parts is None:
            msg = "The client is not open."
            raise UsageError(msg, hint=_OPEN)
        return self._parts

    @property
    def pid(self) -> str:
        """This process's name in its group."""
        return self._settings.pid

    @property
    def healthy(self) -> bool:
        """Whether the worker is open and takes tasks; False after the server refused its credentials."""
        return self._parts is not None and self._parts.worker.trouble is None

    # ------------------------------------------------------------ functions

    @overload
    def register(self, fn: F, /) -> F: ...
    @overload
    def register(
        self,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
    ) -> Callable[[F], F]: ...

    def register(
        self,
        fn: Any = None,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Make a function callable by name, here and from elsewhere. As a decorator, bare or with arguments.

        The function itself is returned, and stays callable as before. Raise `UsageError` for a function that
        can't be durable, or for a name and version that another function has.
        """

        def add(function: F) -> F:
            described = describe(function, name=name, version=version, retry=retry, timeout=timeout)
            self._settings.registry.add(described)
            return function

        return add if fn is None else add(fn)

    def set_dependency(self, key: str | type, value: object) -> None:
        """Let functions get `value` by `key`: `ctx.get_dependency(key)`, `info.get_dependency(key)`."""
        self._settings.dependencies.set(key, value)

    def options(
        self,
        *,
        timeout: Duration | None = None,
        target: str | None = None,
        version: int | None = None,
        retry: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Self:
        """Return this client with settings for the next calls. It shares everything with the original.

        Args:
            timeout: how long the execution may take.
            target: the worker group, or address, that a remote call goes to.
            version: the function version to call.
            retry: the retry policy if the function is a step.
            tags: tags of the execution's promise, for searches.
        """
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._options = options(
            base=self._options, timeout=timeout, target=target, version=version, retry=retry, tags=tags
        )
        return copy

    # ------------------------------------------------------------ executions

    @overload
    async def run(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Any: ...

    async def run(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a registered function durably as `id`, and return its result or raise its error.

        The same id is the same execution: a second call attaches to it, wherever it runs and whether or not it is
        over. Raise `Conflict` if the id belongs to another function or other arguments.
        """
        return await (await self._begin_run(id, fn, args, kwargs)).result()

    @overload
    async def begin_run(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_run(
        self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[T]: ...
    @overload
    async def begin_run(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_run(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_run(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_run(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_run(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Handle[Any]: ...

    async def begin_run(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Start like `run`, and return a handle once the execution is durable."""
        return await self._begin_run(id, fn, args, kwargs)

    @overload
    async def rpc(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def rpc(self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def rpc(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def rpc(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def rpc(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def rpc(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def rpc(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Any: ...

    async def rpc(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a function durably on any worker of the target group; otherwise like `run`.

        The function need not be registered here; by name, it need not even exist here.
        """
        return await (await self._begin_rpc(id, fn, args, kwargs)).result()

    @overload
    async def begin_rpc(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_rpc(
        self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[T]: ...
    @overload
    async def begin_rpc(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_rpc(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_rpc(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_rpc(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    async def begin_rpc(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Handle[Any]: ...

    async def begin_rpc(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Start like `rpc`, and return a handle once the execution is durable."""
        return await self._begin_rpc(id, fn, args, kwargs)

    def get(self, id: str, *, returns: Any = Any) -> Handle[Any]:
        """Return a handle on whatever has this id; `returns` is the type that its result is read as."""
        return self._handle(_checked_id(id), returns)

    async def cancel(self, id: str) -> bool:
        """Cancel an execution or a promise; return False if it had settled otherwise before. Raise `NotFound`."""
        return await self.get(id).cancel()

    async def schedule(
        self, id: str, cron: str, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> ScheduleRecord:
        """Run a function at every instant of a cron expression (UTC), on any worker of the target group.

        The execution that is due at an instant has the id `{id}-{instant in epoch ms}`, so each runs once, also
        those that came due while nothing ran. An existing schedule of this id is kept as it is and returned.

        Raise `UsageError` for an expression that is malformed or has no instant.
        """
        parts = self._open
        name, version, signature = self._callee(fn, args, kwargs)
        param = self._param(Kind.RPC, name, version, signature, args, kwargs)
        timeout_ms = self._options.timeout_ms
        reply = await parts.store.send(
            ScheduleCreate(
                id=_checked_id(id),
                cron=cron,
                promise_id="{{.id}}-{{.timestamp}}",
                promise_timeout=self._settings.timeout_ms if timeout_ms is None else timeout_ms,
                promise_param=param,
                promise_tags={
                    **(self._options.tags or {}),
                    Tag.TARGET: parts.env.address(self._options.target),
                    Tag.SCOPE: "global",
                },
            )
        )
        if isinstance(reply, Rejection):
            msg = f"The schedule {id} was refused: {reply.message}."
            raise UsageError(msg, hint="Check the cron expression and the id.")
        return reply.schedule

    # ------------------------------------------------------------ inside

    async def _begin_run(self, id: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
        parts = self._open
        function = self._registered(fn)
        check_call(function, args, kwargs)
        request = self._creation(
            id,
            function.name,
            function.version,
            function.signature,
            args,
            kwargs,
            parts.store.prefer(),
            function.timeout_ms,
        )
        handle = self._handle(id, function.signature.returns)
        if not parts.worker.has_room:
            await self._create(request)
            return handle
        with parts.worker.claiming():
            reply = await parts.store.send(
                TaskCreate(pid=self._settings.pid, ttl=self._settings.limits.ttl_ms, action=request)
            )
            if isinstance(reply, ClaimReply):
                await self._claimed(parts, reply, request, handle)
                return handle
        if reply.status not in {Status.CONFLICT, Status.UNPROCESSABLE}:
            raise _refused(id, reply)
        self._check_same(promise_of(await parts.store.send(PromiseGet(id)), id), request)
        return handle

    async def _claimed(
        self, parts: wiring.Parts, claim: ClaimReply, request: PromiseCreate, handle: Handle[Any]
    ) -> None:
        """Drive what was claimed, unless it is over, or another call's: that one goes back to its workers."""
        pending = claim.promise.state is PromiseState.PENDING
        try:
            self._check_same(claim.promise, request)
        except Conflict:
            if pending:
                await parts.worker.give_back(claim)
            raise
        if pending and parts.worker.taking:
            parts.worker.adopt(claim)
        elif pending:  # this client was closed meanwhile
            await parts.worker.give_back(claim)
        else:
            handle._settled = claim.promise  # noqa: SLF001 - a handle that is born knowing

    async def _begin_rpc(self, id: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
        parts = self._open
        name, version, signature = self._callee(fn, args, kwargs)
        address = parts.env.address(self._options.target)
        request = self._creation(id, name, version, signature, args, kwargs, address, None)
        await self._create(request)
        return self._handle(id, signature.returns)

    async def _create(self, request: PromiseCreate) -> None:
        reply = await self._open.store.send(request)
        if isinstance(reply, Rejection):
            raise _refused(request.id, reply)
        self._check_same(reply.promise, request)

    def _creation(  # noqa: PLR0917 - all of a promise
        self,
        id: str,
        name: str,
        version: int | None,
        signature: Signature,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        address: str,
        timeout_ms: int | None,
    ) -> PromiseCreate:
        parts = self._open
        ids.check_root_id(id, parts.store.dialect.separator)
        chosen = self._options
        wanted = chosen.timeout_ms if chosen.timeout_ms is not None else timeout_ms
        return PromiseCreate(
            id=id,
            timeout_at=self._settings.clock.now() + (self._settings.timeout_ms if wanted is None else wanted),
            param=self._param(Kind.RPC, name, version, signature, args, kwargs),
            tags={
                **(chosen.tags or {}),
                Tag.TARGET: address,
                Tag.SCOPE: "global",
                Tag.ORIGIN: id,
                Tag.BRANCH: id,
                Tag.PARENT: id,
            },
        )

    def _param(  # noqa: PLR0917 - all of a call
        self,
        kind: Kind,
        name: str,
        version: int | None,
        signature: Signature,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Value:
        call = Call(func=name, args=args, kwargs=kwargs, version=version)
        param = self._settings.codec.encode_call(call, signature)
        called = name if version is None else f"{name}@{version}"
        return Identity(kind, called, fingerprint(param.data)).on(param, {})

    def _registered(self, fn: Any) -> Any:
        registry = self._settings.registry
        if isinstance(fn, str):
            return registry.get(fn, self._options.version)
        if not callable(fn):
            msg = f"run takes a registered function or its name, not {type(fn).__name__}."
            raise UsageError(msg, hint="The id comes first: run('order-1', checkout, ...).")
        function = registry.of(fn, self._options.version)
        if function is None:
            msg = f"The function {getattr(fn, '__qualname__', fn)!r} is not registered."
            raise FunctionNotRegistered(
                msg, hint="Decorate it with @resonate.register, so that any worker can find it."
            )
        return function

    def _callee(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, int | None, Signature]:
        registry = self._settings.registry
        if isinstance(fn, str):
            try:
                function = registry.get(fn, self._options.version)
            except FunctionNotRegistered:
                return fn, self._options.version, UNTYPED
            check_call(function, args, kwargs)
            return fn, self._options.version, function.signature
        function = registry.of(fn, self._options.version) or describe(fn)
        check_call(function, args, kwargs)
        return function.name, function.version, function.signature

    def _handle(self, id: str, returns: Any) -> Handle[Any]:
        parts = self._open
        return Handle(id, returns, store=parts.store, watcher=parts.watcher, codec=self._settings.codec)

    def _check_same(self, stored: PromiseRecord, wanted: PromiseCreate) -> None:
        """Raise `Conflict` if `stored` was made by another call than `wanted`."""
        if stored.param.data == wanted.param.data:
            return
        try:
            found = self._settings.codec.decode_call(stored.param, lambda _name, _version: UNTYPED)
            asked = self._settings.codec.decode_call(wanted.param, lambda _name, _version: UNTYPED)
        except CodecError:
            theirs, ours = "something that is no call of this codec", "a call"
        else:
            if (found.func, found.args, dict(found.kwargs)) == (asked.func, asked.args, dict(asked.kwargs)):
                return  # another version of the same call: attach to it
            theirs, ours = _shown(found), _shown(asked)
        msg = f"The id {wanted.id} belongs to {theirs}; it was asked for with {ours}."
        raise Conflict(msg, hint="Use another id, or make the same call to attach to it.", execution=wanted.id)


class _Life:
    """What is there while a client is open; one for a client and all that `options` makes of it."""

    def __init__(self) -> None:
        self.parts: wiring.Parts | None = None


class Promises:
    """Promises as such: made, read, settled and searched from outside. Reached as `resonate.promises`."""

    def __init__(self, client: Resonate) -> None:
        self._client = client

    async def create(
        self, id: str, *, timeout: Duration | None = None, value: object = None, tags: Mapping[str, str] | None = None
    ) -> PromiseRecord:
        """Make a promise that anyone may settle and await; one that exists is returned as it is stored."""
        client = self._client
        parts = client._open  # noqa: SLF001 - one client in two classes
        ids.check_root_id(id, parts.store.dialect.separator)
        timeout_ms = client._settings.timeout_ms if timeout is None else milliseconds(timeout, "timeout")  # noqa: SLF001 - as above
        param = NO_VALUE if value is None else client._settings.codec.encode(value, Any)  # noqa: SLF001 - as above
        chosen = options(tags=tags).tags or {}
        request = PromiseCreate(
            id=id,
            timeout_at=client._settings.clock.now() + timeout_ms,  # noqa: SLF001 - as above
            param=param,
            tags={**chosen, Tag.EXTERNAL: "true", Tag.SCOPE: "global", Tag.ORIGIN: id, Tag.BRANCH: id, Tag.PARENT: id},
        )
        return promise_of(await parts.store.send(request), id)

    async def get(self, id: str) -> PromiseRecord:
        """Return the promise as it is now. Raise `NotFound`."""
        return promise_of(await self._client._open.store.send(PromiseGet(_checked_id(id))), id)  # noqa: SLF001 - one client

    async def resolve(self, id: str, value: object = None, *, type: Any = Any) -> PromiseRecord:
        """Settle a promise with a value, written as `type`. If it had settled before, that outcome is returned."""
        return await self._settle(id, PromiseState.RESOLVED, self._codec.encode(value, type))

    async def reject(self, id: str, error: BaseException | str) -> PromiseRecord:
        """Settle a promise with a failure. If it had settled before, that outcome is returned."""
        failure = ApplicationError(error) if isinstance(error, str) else error
        return await self._settle(id, PromiseState.REJECTED, self._codec.encode_error(failure))

    async def cancel(self, id: str) -> PromiseRecord:
        """Settle a promise as canceled. If it had settled before, that outcome is returned."""
        return await self._settle(id, PromiseState.REJECTED_CANCELED, NO_VALUE)

    async def search(
        self, *, state: PromiseState | str | None = None, tags: Mapping[str, str] | None = None, page: int = 100
    ) -> AsyncIterator[PromiseRecord]:
        """Yield the promises in this state with all these tags, in id order, fetched `page` at a time."""
        wanted = PromiseState(state) if state is not None else None
        cursor: str | None = None
        while True:
            reply = await self._client._open.store.send(  # noqa: SLF001 - one client in two classes
                PromiseSearch(state=wanted, tags=dict(tags or {}), limit=page, cursor=cursor)
            )
            if isinstance(reply, Rejection):
                raise UsageError(f"The search was refused: {reply.message}.")
            for promise in reply.promises:
                yield promise
            cursor = reply.cursor
            if cursor is None:
                return

    @property
    def _codec(self) -> Codec:
        return self._client._settings.codec  # noqa: SLF001 - one client in two classes

    async def _settle(self, id: str, state: PromiseState, value: Value) -> PromiseRecord:
        parts = self._client._open  # noqa: SLF001 - one client in two classes
        reply = await parts.store.send(PromiseSettle(id=_checked_id(id), state=state, value=value))
        record = promise_of(reply, id)
        parts.watcher.told(record)
        return record


class Schedules:
    """Schedules, read and deleted. Reached as `resonate.schedules`; made by `resonate.schedule`."""

    def __init__(self, client: Resonate) -> None:
        self._client = client

    async def get(self, id: str) -> ScheduleRecord:
        """Return the schedule. Raise `NotFound`."""
        reply = await self._client._open.store.send(ScheduleGet(_checked_id(id)))  # noqa: SLF001 - one client
        if isinstance(reply, Rejection):
            raise _no_schedule(id, reply)
        return reply.schedule

    async def delete(self, id: str) -> None:
        """Delete the schedule; executions that it started go on. Raise `NotFound`."""
        reply = await self._client._open.store.send(ScheduleDelete(_checked_id(id)))  # noqa: SLF001 - one client
        if isinstance(reply, Rejection):
            raise _no_schedule(id, reply)

    async def search(self, *, tags: Mapping[str, str] | None = None, page: int = 100) -> AsyncIterator[ScheduleRecord]:
        """Yield the schedules whose promises get all these tags, in id order."""
        cursor: str | None = None
        while True:
            request = ScheduleSearch(tags=dict(tags or {}), limit=page, cursor=cursor)
            reply = await self._client._open.store.send(request)  # noqa: SLF001 - one client in two classes
            if isinstance(reply, Rejection):
                raise UsageError(f"The search was refused: {reply.message}.")
            for schedule in reply.schedules:
                yield schedule
            cursor = reply.cursor
            if cursor is None:
                return


_OPEN = "Use it inside `async with resonate:`."


def _checked_id(value: object) -> str:
    if not isinstance(value, str) or not value or "\x00" in value:
        msg = f"An id is a non-empty string without NUL, not {value!r}."
        raise UsageError(msg)
    return value


def _shown(call: Call) -> str:
    args = [repr(arg) for arg in call.args] + [f"{name}={value!r}" for name, value in call.kwargs.items()]
    return f"{call.func}({', '.join(args)})"


def _refused(id: str, reply: Rejection) -> StoreError:
    return StoreError(f"The store refused to start {id}: {reply.message}.", execution=id)


def _no_schedule(id: str, reply: Rejection) -> StoreError:
    if reply.status == Status.NOT_FOUND:
        return NotFound(f"There is no schedule {id}.")
    return StoreError(f"The store refused: {reply.message}.")
