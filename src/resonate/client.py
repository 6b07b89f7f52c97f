"""The client: register functions, start and await executions, settle promises, keep schedules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from copy import copy
from datetime import datetime, timedelta
from types import MappingProxyType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

from attrs import define

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
    refuse_target,
)
from resonate.core.engine.identity import Identity, Kind, fingerprint
from resonate.core.engine.loop import DurableLoop
from resonate.core.function import Function, check_call, describe
from resonate.core.insight.causes import Why
from resonate.core.insight.picture import Here
from resonate.core.insight.tree import Tree
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
from resonate.core.sameness import same_call
from resonate.core.values import UNTYPED, Call, Codec, Signature, is_plain_call, place_of_param, place_of_schedule
from resonate.errors import (
    ApplicationError,
    CodecError,
    Conflict,
    FunctionNotRegistered,
    NotFound,
    ResonateError,
    StoreError,
    UsageError,
)
from resonate.ports.clock import Clock
from resonate.ports.codec import register_error
from resonate.ports.network import Token
from resonate.ports.store import Backend, Prunes
from resonate.ports.telemetry import Telemetry
from resonate.ports.tracer import Tracer
from resonate.runtime import insight, recorder
from resonate.runtime.handle import Handle, promise_of
from resonate.runtime.health import Health, examine
from resonate.runtime.paging import page_of
from resonate.runtime.recording import Recording

T = TypeVar("T")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=type[Exception])


@define(eq=False)
class Session:
    """What a client, its copies with other options, and its promises and schedules share.

    Args:
        settings: what the client was made with.
        parts: what runs while it is open.
        loop: the event loop that it was opened on.
        opening: whether it is being opened.
    """

    settings: wiring.Settings
    parts: wiring.Parts | None = None
    loop: asyncio.AbstractEventLoop | None = None
    opening: bool = False

    @property
    def opened(self) -> wiring.Parts:
        """What runs. Raise `UsageError` if the client is not open, or is used from outside of its event loop."""
        running = _running_loop()
        if isinstance(running, DurableLoop):
            raise UsageError(
                "A client was used inside a workflow.",
                hint="Use the workflow's Context: ctx.run, ctx.rpc, ctx.promise; or do it in a step.",
            )
        if self.parts is None:
            raise UsageError("The client is not open.", hint=_OPEN)
        if running is not self.loop:
            raise UsageError(
                "The client was used from outside of the event loop that opened it.",
                hint="Open one client on each loop; in a thread, use resonate.sync or run_coroutine_threadsafe.",
            )
        return self.parts

    @property
    def codec(self) -> Codec:
        """How values are written."""
        return self.settings.codec


class Resonate:
    """Durable execution for this process: a worker, and a client of everything that it works on.

    Use it as an async context manager; making one starts nothing. It belongs to the event loop that entered it.

    Args:
        backend: where promises live: a URL, a Backend, or None for RESONATE_URL (by default this process's memory).
        token: what a server given by its URL is shown: text, or a function, `async` or not, that returns it and is
            called again when the server refuses (RESONATE_TOKEN).
        group: the worker group that this process is a member of (RESONATE_GROUP, "default").
        pid: this process's name in the group; unique, made up if not given.
        codec: how values are written; `JsonCodec()` by default.
        clock: where time comes from; the backend's own by default.
        telemetry: where traces and metrics go, such as `OTel()`; None for nowhere.
        tracers: who hears of lifecycle events.
        concurrency: how many executions are driven at once; suspended ones do not count.
        continuations: how many suspended workflows are kept in memory to go on in place; 0 replays each time.
        continuation_age: how long one of them is kept that nothing resumes; None for as long as there is room.
        threads: how many `def` steps run at once.
        ttl: length of a task's lease: how long after a crash another worker takes over.
        grace: how long `async with` waits at its end for what runs before it gives it to other workers. While the store
            is away that is tried for 5 seconds more, or until the leases end; what could not be given back lapses.
        timeout: how long an execution may take unless its call says otherwise; what it calls may take as long.
        step_timeout: how long a step may take, with all its attempts, unless its call says otherwise.
        retry: the retry policy of steps that name none.
    """

    def __init__(
        self,
        backend: str | Backend | None = None,
        *,
        token: Token | None = None,
        group: str | None = None,
        pid: str | None = None,
        codec: Codec | None = None,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
        tracers: Iterable[Tracer] = (),
        concurrency: int = 1_000,
        continuations: int = 1_000,
        continuation_age: Duration | None = None,
        threads: int | None = None,
        ttl: Duration = 60.0,
        grace: Duration = 10.0,
        timeout: Duration = timedelta(days=30),
        step_timeout: Duration = timedelta(days=1),
        retry: RetryPolicy | None = None,
    ) -> None:
        settings = wiring.settings(
            backend,
            token=token,
            group=group,
            pid=pid,
            codec=codec,
            clock=clock,
            telemetry=telemetry,
            tracers=tracers,
            concurrency=concurrency,
            continuations=continuations,
            continuation_age=continuation_age,
            threads=threads,
            ttl=ttl,
            grace=grace,
            timeout=timeout,
            step_timeout=step_timeout,
            retry=retry,
        )
        self._session = Session(settings)
        self._options = Options()
        self.promises = Promises(self._session)
        self.schedules = Schedules(self._session)
        self.store = Retention(self._session)

    # ------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        """Connect, and take tasks from now on."""
        session = self._session
        if session.parts is not None or session.opening:
            raise UsageError("This client is open already.", hint="Make another Resonate for another `async with`.")
        store = wiring.connect(session.settings)
        session.opening = True
        try:
            await store.start()
        except BaseException:
            await store.stop()
            raise
        finally:
            session.opening = False
        session.parts, session.loop = wiring.parts(session.settings, store), asyncio.get_running_loop()
        session.parts.worker.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Take no more tasks, wait for what runs (up to `grace`), give back the rest, close the connection last."""
        parts = self._session.parts
        if parts is None:
            return
        try:
            await parts.worker.stop(self._session.settings.grace_ms)
        finally:  # also when it is canceled: no lease may be kept by what nobody drives
            await parts.worker.kill()
            await self._close(parts)
            parts.steps.tell_what_goes_on()

    async def _kill(self) -> None:
        """Drop everything without another request, as if the process had died. For tests."""
        parts = self._session.parts
        if parts is not None:
            await parts.worker.kill()
            await self._close(parts)

    async def _close(self, parts: wiring.Parts) -> None:
        self._session.parts = None
        parts.alarms.stop()
        if parts.recorder is not None:
            await parts.recorder.close()
        parts.watcher.stop(UsageError("The client was closed while a result was awaited.", hint=_OPEN))
        await parts.store.stop()
        parts.pool.close()

    @property
    def pid(self) -> str:
        """This process's name in its group."""
        return self._session.settings.pid

    @property
    def healthy(self) -> bool:
        """Whether the worker is open and takes tasks; False after the server refused its credentials."""
        parts = self._session.parts
        return parts is not None and parts.worker.trouble is None

    async def health(self) -> Health:
        """Ask the store for a sign of life, once, and say how this process is doing. Raise `UsageError` if not open."""
        parts = self._session.opened
        return await examine(parts.worker, parts.backing, self._session.settings.clock)

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
            described = describe(function, name=name, version=version, retry=retry, timeout=timeout, resolved=True)
            self._session.settings.registry.add(described)
            return function

        return add if fn is None else add(fn)

    def register_error(self, cls: E, /) -> E:
        """Let failures of this class come back as themselves, so that `except` finds them here. Usable as a decorator.

        Every process that is to catch them registers the class. Raise `UsageError` for what is no exception class, or
        if the client's codec knows of no such thing.
        """
        return register_error(self._session.codec, cls)

    def set_dependency(self, key: str | type, value: object) -> None:
        """Let functions get `value` by `key`: `ctx.get_dependency(key)`, `info.get_dependency(key)`."""
        self._session.settings.dependencies.set(key, value)

    def options(
        self,
        *,
        timeout: Duration | None = None,
        target: str | None = None,
        version: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Self:
        """Return this client with settings for the next calls. It shares everything with the original.

        Args:
            timeout: how long the execution may take.
            target: the worker group, or address, that a remote call goes to; `run` refuses it.
            version: the function version to call.
            tags: tags of the execution's promise, for searches.
        """
        twin = copy(self)
        twin._options = options(  # noqa: SLF001 - of the same class
            base=self._options, timeout=timeout, target=target, version=version, tags=tags
        )
        return twin

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
        """Start like `run`, and return a handle once the execution is durable.

        Where it runs here, it may have begun by then, or be over.
        """
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

    @overload
    def get(self, id: str, *, returns: type[T]) -> Handle[T]: ...
    @overload
    def get(self, id: str, *, returns: Any = Any) -> Handle[Any]: ...

    def get(self, id: str, *, returns: Any = Any) -> Handle[Any]:
        """Return a handle on whatever has this id; `returns` is the type that its result is read as."""
        return self._handle(_checked_id(id), returns, started=False)

    async def cancel(self, id: str) -> bool:
        """Cancel an execution or a promise; return False if it had settled otherwise before. Raise `NotFound`."""
        return await self.get(id).cancel()

    async def tree(self, id: str) -> Tree:
        """Return what an execution asked for, and how each of it stands. Raise `NotFound`.

        Executions that it detached are not part of it.
        """
        parts, now = self._session.opened, self._session.settings.clock.now()
        return await insight.tree(parts.store, _checked_id(id), now=now, knows=parts.backing, here=self._here(parts))

    async def why(self, id: str) -> Why:
        """Return why an execution or a promise is not settled yet: what it waits for, down to the leaves.

        Printed, the first line names the cause. One that is over, or that is not there, is answered, too. Nothing is
        written, and no task is touched.
        """
        parts, now = self._session.opened, self._session.settings.clock.now()
        return await insight.why(parts.store, _checked_id(id), now=now, knows=parts.backing, here=self._here(parts))

    def _here(self, parts: wiring.Parts) -> Here:
        settings = self._session.settings
        return Here(
            pid=settings.pid,
            group=settings.group,
            troubles=parts.worker.troubles,
            retrying=parts.steps.retrying,
            registered=settings.registry.has,
        )

    async def record(self, id: str) -> Recording:
        """Return an execution with its history as they are stored now, to be saved and replayed.

        Nothing is written, and no task is touched. Executions that it detached are not part of it. Raise `NotFound`.
        """
        parts = self._session.opened
        return await recorder.record(parts.store, _checked_id(id), self._session.settings.clock.now())

    async def schedule(
        self, id: str, cron: str, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> ScheduleRecord:
        """Run a function at every instant of a cron expression (UTC), on any worker of the target group.

        The execution that is due at an instant has the id `{id}-{instant in epoch ms}`, so each runs once, also
        those that came due while nothing ran. An existing schedule of this id is kept as it is and returned.

        Raise `UsageError` for an expression that is malformed or has no instant.
        """
        parts = self._session.opened
        ids.check_root_id(id, parts.store.dialect.separator)
        call, signature = self._call(fn, args, kwargs)
        timeout_ms = self._options.timeout_ms
        reply = await parts.store.send(
            ScheduleCreate(
                id=id,
                cron=_cron(cron),
                promise_id="{{.id}}-{{.timestamp}}",
                promise_timeout=self._session.settings.timeout_ms if timeout_ms is None else timeout_ms,
                promise_param=self._param(call, signature, place_of_schedule(id)),
                promise_tags={
                    **(self._options.tags or {}),
                    Tag.TARGET: parts.env.address(self._options.target),
                    Tag.SCOPE: "global",
                    Tag.SCHEDULE: id,  # where the param is bound to; some servers in the field do not write it
                },
            )
        )
        if isinstance(reply, Rejection):
            msg = f"The schedule {id} was refused: {reply.message}."
            raise UsageError(msg, hint="Check the cron expression and the id.")
        return reply.schedule

    # ------------------------------------------------------------ inside

    async def _begin_run(self, id: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
        parts, settings = self._session.opened, self._session.settings
        ids.check_root_id(id, parts.store.dialect.separator)
        function = self._registered(fn)
        refuse_target(self._options, function.name)
        check_call(function, args, kwargs)
        call = Call(func=function.name, args=args, kwargs=kwargs, version=function.version)
        signature, returns = function.signature, function.signature.returns
        param = self._param(call, signature, id)
        if not parts.worker.has_room:
            await self._create(self._creation(id, param, parts.store.anycast(), function.timeout_ms), signature)
            return self._handle(id, returns)
        request = self._creation(id, param, parts.store.prefer(), function.timeout_ms)
        asked = settings.clock.now()
        claim = parts.worker.begin_claim(id)
        try:
            reply = await parts.store.send(TaskCreate(pid=settings.pid, ttl=settings.limits.ttl_ms, action=request))
            if isinstance(reply, ClaimReply):
                return await self._claimed(parts, reply, request, call, signature, asked)
        except asyncio.CancelledError:
            parts.worker.forsake_claim(id)
            raise
        finally:
            parts.worker.end_claim(claim)
        if reply.status not in {Status.CONFLICT, Status.UNPROCESSABLE}:
            raise _refused(id, reply)
        self._check_same(promise_of(await parts.store.send(PromiseGet(id)), id), request, signature)
        if reply.status == Status.CONFLICT and not parts.worker.drives(id):
            await parts.worker.recover(id)
        return self._handle(id, returns)

    async def _claimed(  # noqa: PLR0917 - all of a claim
        self,
        parts: wiring.Parts,
        claim: ClaimReply,
        request: PromiseCreate,
        call: Call,
        signature: Signature,
        asked: int,
    ) -> Handle[Any]:
        """Drive what was claimed, unless it is over, or another call's: that one goes back to its workers."""
        pending = claim.promise.state is PromiseState.PENDING
        try:
            self._check_same(claim.promise, request, signature)
        except Conflict:
            if pending:
                await parts.worker.give_back(claim)
            raise
        if not pending:
            return self._handle(request.id, signature.returns, ended=claim.promise)
        if not parts.worker.may_drive(asked):  # this client was closed meanwhile, or the answer came late
            await parts.worker.give_back(claim)
            return self._handle(request.id, signature.returns)
        as_asked = claim.promise.param.data == request.param.data
        known = as_asked and is_plain_call(call, signature, parts.env.plain)
        ended = await parts.worker.adopt(claim, asked, call if known else None)
        return self._handle(request.id, signature.returns, ended=ended)

    async def _begin_rpc(self, id: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
        parts = self._session.opened
        ids.check_root_id(id, parts.store.dialect.separator)
        call, signature = self._call(fn, args, kwargs)
        address = parts.env.address(self._options.target)
        request = self._creation(id, self._param(call, signature, id), address, None)
        await self._create(request, signature)
        return self._handle(id, signature.returns)

    async def _create(self, request: PromiseCreate, signature: Signature) -> None:
        reply = await self._session.opened.store.send(request)
        if isinstance(reply, Rejection):
            raise _refused(request.id, reply)
        self._check_same(reply.promise, request, signature)

    def _creation(self, id: str, param: Value, address: str, timeout_ms: int | None) -> PromiseCreate:
        settings, chosen = self._session.settings, self._options
        wanted = chosen.timeout_ms if chosen.timeout_ms is not None else timeout_ms
        return PromiseCreate(
            id=id,
            timeout_at=settings.clock.now() + (settings.timeout_ms if wanted is None else wanted),
            param=param,
            tags=MappingProxyType(
                {
                    **(chosen.tags or {}),
                    Tag.TARGET: address,
                    Tag.SCOPE: "global",
                    Tag.ORIGIN: id,
                    Tag.BRANCH: id,
                    Tag.PARENT: id,
                }
            ),
        )

    def _param(self, call: Call, signature: Signature, at: str) -> Value:
        param = self._session.codec.encode_call(call, signature, at=at)
        called = call.func if call.version is None else f"{call.func}@{call.version}"
        return Identity(Kind.RPC, called, fingerprint(param.data)).on(param, self._session.opened.handed_on())

    def _other_version(self, fn: Any) -> Function | None:
        """Return what has the name of `fn` in the version that the options ask for; None if `fn` has no name here."""
        registry = self._session.settings.registry
        known = registry.of(fn)
        return None if known is None else registry.get(known.name, self._options.version)

    def _registered(self, fn: Any) -> Function:
        registry = self._session.settings.registry
        if isinstance(fn, str):
            return registry.get(fn, self._options.version)
        if not callable(fn):
            msg = f"run takes a registered function or its name, not {type(fn).__name__}."
            raise UsageError(msg, hint="The id comes first: run('order-1', checkout, ...).")
        function = registry.of(fn, self._options.version) or self._other_version(fn)
        if function is None:
            msg = f"The function {getattr(fn, '__qualname__', fn)!r} is not registered."
            raise FunctionNotRegistered(
                msg, hint="Decorate it with @resonate.register, so that any worker can find it."
            )
        return function

    def _call(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call, Signature]:
        """Return the call of a function that may run elsewhere, and its types; by name, it need not be known here."""
        registry, version = self._session.settings.registry, self._options.version
        if isinstance(fn, str):
            try:
                function = registry.get(fn, version)
            except FunctionNotRegistered:
                return Call(func=fn, args=args, kwargs=kwargs, version=version), UNTYPED
        else:
            function = registry.of(fn, version) or self._other_version(fn) or describe(fn, version=version or 1)
            version = function.version
        check_call(function, args, kwargs)
        return Call(func=function.name, args=args, kwargs=kwargs, version=version), function.signature

    def _handle(
        self, id: str, returns: Any, *, ended: PromiseRecord | ResonateError | None = None, started: bool = True
    ) -> Handle[Any]:
        parts, codec = self._session.opened, self._session.codec
        return Handle(
            id,
            returns,
            store=parts.store,
            watcher=parts.watcher,
            codec=codec,
            settle=parts.settle,
            ended=ended,
            heard=parts.heard if started else None,
        )

    def _check_same(self, stored: PromiseRecord, wanted: PromiseCreate, signature: Signature) -> None:
        """Raise `Conflict` if `stored` was made by another call than `wanted`; a call's version does not count."""
        asked, found, at, stored_at = wanted.param, stored.param, wanted.id, place_of_param(stored)
        if found.data == asked.data:
            return
        codec = self._session.codec
        if any(
            same_call(codec, asked, found, types, at=at, stored_at=stored_at) for types in (signature, UNTYPED)
        ):  # the types may have changed since it was stored, and then the bare JSON decides
            return
        owner, caller = self._shown(found, stored_at), self._shown(asked, at)
        msg = f"The id {at} belongs to {owner}; it was asked for with {caller}."
        raise Conflict(msg, hint="Use another id, or make the same call to attach to it.", execution=at)

    def _shown(self, param: Value, at: str) -> str:
        try:
            return _text_of(self._session.codec.decode_call(param, lambda _name, _version: UNTYPED, at=at))
        except CodecError:
            return "a promise that is no call"


class Promises:
    """Promises as such: made, read, settled and searched from outside. Reached as `resonate.promises`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(
        self, id: str, *, timeout: Duration | None = None, value: object = None, tags: Mapping[str, str] | None = None
    ) -> PromiseRecord:
        """Make a promise that anyone may settle and await; one that exists is returned as it is stored."""
        parts, settings = self._session.opened, self._session.settings
        ids.check_root_id(id, parts.store.dialect.separator)
        timeout_ms = settings.timeout_ms if timeout is None else milliseconds(timeout, "timeout")
        param = NO_VALUE if value is None else settings.codec.encode(value, Any, at=id)
        chosen = options(tags=tags).tags or {}
        request = PromiseCreate(
            id=id,
            timeout_at=settings.clock.now() + timeout_ms,
            param=param,
            tags={**chosen, Tag.EXTERNAL: "true", Tag.SCOPE: "global", Tag.ORIGIN: id, Tag.BRANCH: id, Tag.PARENT: id},
        )
        return promise_of(await parts.store.send(request), id)

    async def get(self, id: str) -> PromiseRecord:
        """Return the promise as it is now. Raise `NotFound`."""
        return promise_of(await self._session.opened.store.send(PromiseGet(_checked_id(id))), id)

    async def resolve(self, id: str, value: object = None, *, type: Any = Any) -> PromiseRecord:
        """Settle a promise with a value, written as `type`. If it had settled before, that outcome is returned."""
        return await self._settle(id, PromiseState.RESOLVED, self._session.codec.encode(value, type, at=id))

    async def reject(self, id: str, error: BaseException | str) -> PromiseRecord:
        """Settle a promise with a failure. If it had settled before, that outcome is returned."""
        failure: Any = ApplicationError(error) if isinstance(error, str) else error
        if not isinstance(failure, BaseException):
            raise UsageError(f"A promise is rejected with an error or a text, not {type(failure).__name__}.")
        return await self._settle(id, PromiseState.REJECTED, self._session.codec.encode_error(failure, at=id))

    async def cancel(self, id: str) -> PromiseRecord:
        """Settle a promise as canceled. If it had settled before, that outcome is returned."""
        return await self._settle(id, PromiseState.REJECTED_CANCELED, NO_VALUE)

    async def search(
        self, *, state: PromiseState | str | None = None, tags: Mapping[str, str] | None = None, page: int = 100
    ) -> AsyncIterator[PromiseRecord]:
        """Yield the promises in this state with all these tags, in id order, fetched `page` at a time at most."""
        wanted, size = None if state is None else _state(state), _page(page)
        cursor: str | None = None
        while True:
            search = PromiseSearch(state=wanted, tags=_wanted(tags), limit=size, cursor=cursor)
            reply, size = await page_of(self._session.opened.store, search)
            if isinstance(reply, Rejection):
                raise UsageError(f"The search was refused: {reply.message}.")
            for promise in reply.promises:
                yield promise
            cursor = reply.cursor
            if cursor is None:
                return

    @property
    def _codec(self) -> Codec:
        return self._session.settings.codec

    async def _settle(self, id: str, state: PromiseState, value: Value) -> PromiseRecord:
        return await self._session.opened.settle(PromiseSettle(id=_checked_id(id), state=state, value=value))


class Retention:
    """What the store keeps, for the store's owner. Reached as `resonate.store`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def prune(self, *, before: datetime | timedelta) -> int:
        """Delete whole executions that settled before an instant; return how many promises that were.

        What a live execution may still read stays, however old. An id that is gone may be used anew, and is run anew.

        Args:
            before: an instant with its time zone, or how long ago.

        Raise `UsageError` for a store that has no say in that: a Resonate server keeps what it keeps.
        """
        parts, clock = self._session.opened, self._session.settings.clock
        store = parts.backing
        if not isinstance(store, Prunes):
            raise UsageError(
                f"{type(store).__name__} can't be pruned.",
                hint="A file (sqlite:///...) can be; a server has a retention of its own.",
            )
        return await store.prune(_instant(before, clock.now()))


class Schedules:
    """Schedules, read and deleted. Reached as `resonate.schedules`; made by `resonate.schedule`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, id: str) -> ScheduleRecord:
        """Return the schedule. Raise `NotFound`."""
        reply = await self._session.opened.store.send(ScheduleGet(_checked_id(id)))
        if isinstance(reply, Rejection):
            raise _no_schedule(id, reply)
        return reply.schedule

    async def delete(self, id: str) -> None:
        """Delete the schedule; executions that it started go on. Raise `NotFound`.

        Where an answer was lost it is asked again, and then `NotFound` may mean that the schedule is deleted now.
        """
        reply = await self._session.opened.store.send(ScheduleDelete(_checked_id(id)))
        if isinstance(reply, Rejection):
            raise _no_schedule(id, reply)

    async def search(self, *, tags: Mapping[str, str] | None = None, page: int = 100) -> AsyncIterator[ScheduleRecord]:
        """Yield the schedules whose promises get all these tags, in id order."""
        cursor: str | None = None
        while True:
            request = ScheduleSearch(tags=_wanted(tags), limit=_page(page), cursor=cursor)
            reply = await self._session.opened.store.send(request)
            if isinstance(reply, Rejection):
                raise UsageError(f"The search was refused: {reply.message}.")
            for schedule in reply.schedules:
                yield schedule
            cursor = reply.cursor
            if cursor is None:
                return


_OPEN = "Use it inside `async with resonate:`."


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _instant(before: object, now: int) -> int:
    if isinstance(before, timedelta):
        return now - milliseconds(before, "before")
    if isinstance(before, datetime):
        if before.tzinfo is None:
            raise UsageError(f"before has no time zone: {before}.", hint="Give it one: datetime.now(UTC) has.")
        return int(before.timestamp() * 1_000)
    raise UsageError(f"before is a datetime or a timedelta, not {type(before).__name__}.")


def _checked_id(value: object) -> str:
    if not isinstance(value, str) or not value or "\x00" in value or not ids.is_unicode(value):
        raise UsageError(f"An id is text, not empty, without NUL and lone surrogates; not {value!r}.")
    return value


def _cron(value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"A cron expression is text, not {type(value).__name__}.", hint="Such as '*/5 * * * *'.")
    return value


def _state(value: PromiseState | str) -> PromiseState:
    try:
        return PromiseState(value)
    except ValueError:
        known = ", ".join(state.value for state in PromiseState)
        raise UsageError(f"{value!r} is no state of a promise.", hint=f"They are {known}.") from None


def _page(size: Any) -> int:
    if type(size) is not int or size < 1:
        raise UsageError(f"A page has at least 1 entry, not {size!r}.")
    return size


def _wanted(tags: Any) -> dict[str, str]:
    if tags is None:
        return {}
    if not hasattr(tags, "items") or not all(isinstance(text, str) for pair in tags.items() for text in pair):
        raise UsageError(f"The tags of a search are texts by text, not {tags!r}.")
    return dict(tags)


def _text_of(call: Call) -> str:
    args = [repr(arg) for arg in call.args] + [f"{name}={value!r}" for name, value in call.kwargs.items()]
    return f"{call.func}({', '.join(args)})"


def _refused(id: str, reply: Rejection) -> StoreError:
    return StoreError(f"The store refused to start {id}: {reply.message}.", execution=id)


def _no_schedule(id: str, reply: Rejection) -> StoreError:
    if reply.status == Status.NOT_FOUND:
        return NotFound(f"There is no schedule {id}.")
    return StoreError(f"The store refused: {reply.message}.")
