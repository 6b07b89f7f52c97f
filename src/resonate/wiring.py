"""The composition root: the only module that names adapters or reads the environment.

An adapter is loaded when it is chosen: a process that talks to a server loads no SQLite, one with a file no HTTP.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from attrs import evolve, frozen

from resonate import logs
from resonate.adapters.clock import SystemClock
from resonate.core.durations import Duration, milliseconds
from resonate.core.engine.environment import Dependencies, Environment
from resonate.core.engine.reports import TELLER, signed
from resonate.core.protocol.records import PromiseRecord
from resonate.core.protocol.requests import PromiseSettle
from resonate.core.registry import Registry
from resonate.core.retry import STEP_RETRY, RetryPolicy, check_policy
from resonate.core.trace import Settled
from resonate.core.values import Codec
from resonate.errors import UsageError
from resonate.ports.clock import Clock
from resonate.ports.codec import check_codec
from resonate.ports.network import Token
from resonate.ports.store import Backend, Leaves, Store
from resonate.ports.telemetry import Recorder, Telemetry
from resonate.ports.tracer import Tracer
from resonate.runtime.alarms import Alarms
from resonate.runtime.driver import Tools
from resonate.runtime.handle import promise_of
from resonate.runtime.host import REAL, VIRTUAL, Host
from resonate.runtime.lease import LeaseKeeper
from resonate.runtime.measured import Measured
from resonate.runtime.observers import Observers
from resonate.runtime.offloading import Moves, Offloading
from resonate.runtime.patience import Patient
from resonate.runtime.steps import Steps
from resonate.runtime.threads import Pool
from resonate.runtime.watcher import Watcher
from resonate.runtime.worker import Limits, Worker

T = TypeVar("T")

log = logs.Log("resonate")


@frozen(kw_only=True)
class Settings:
    """What `Resonate(...)` was told, checked and with its defaults filled in."""

    backend: Backend
    group: str
    pid: str
    codec: Codec
    moves: Moves | None
    """How large values are moved out of the promises, if they are."""
    clock: Clock
    telemetry: Telemetry | None
    tracers: tuple[Tracer, ...]
    limits: Limits
    threads: int
    grace_ms: int
    timeout_ms: int
    step_timeout_ms: int
    retry: RetryPolicy
    registry: Registry
    dependencies: Dependencies
    host: Host


@frozen(kw_only=True)
class Parts:
    """What runs while a client is open."""

    store: Store
    backing: Store
    """The store as the backend gave it."""
    env: Environment
    alarms: Alarms
    watcher: Watcher
    worker: Worker
    steps: Steps
    pool: Pool
    recorder: Recorder | None
    teller: str | None
    """This process's name if it reports what it settles."""

    def handed_on(self) -> Mapping[str, str]:
        """Return what an execution that is started here takes along."""
        return {} if self.recorder is None else self.recorder.handed_on()

    async def settle(self, request: PromiseSettle) -> PromiseRecord:
        """Settle a promise from outside of its execution; return it as it is now."""
        if self.teller is not None:
            request = evolve(request, value=signed(request.value, self.teller))
        record = promise_of(await self.store.send(request), request.id)
        if self.env.observe is not None and record.value.headers.get(TELLER, "") == self.teller:
            self.env.observe(Settled(record, record))
        self.watcher.told(record)
        return record

    def heard(self, record: PromiseRecord) -> None:
        """Report how an execution that was started here ended, if whoever settled it does not."""
        if self.recorder is not None and self.env.observe is not None and TELLER not in record.value.headers:
            self.env.observe(Settled(record, record))


class HasClock(Protocol):
    """A backend that keeps time: its clients keep the same."""

    @property
    def clock(self) -> Clock:
        """The backend's clock."""
        ...


def settings(
    backend: str | Backend | None,
    *,
    token: Token | None,
    group: str | None,
    pid: str | None,
    codec: Codec | None,
    clock: Clock | None,
    telemetry: Telemetry | None,
    tracers: Iterable[Tracer],
    concurrency: int,
    continuations: int,
    continuation_age: Duration | None,
    threads: int | None,
    ttl: Duration,
    grace: Duration,
    timeout: Duration,
    step_timeout: Duration,
    retry: RetryPolicy | None,
) -> Settings:
    """Check and complete what a user asked for. Raise `UsageError` for what can't be."""
    chosen = backend_of(backend, clock, token)
    written_with, moves = _codec(codec)
    if retry is not None:
        check_policy(retry)
    kept = _having(clock or getattr(chosen, "clock", None) or SystemClock(), "clock", "now", "sleep_until")
    return Settings(
        backend=chosen,
        group=_name(group if group is not None else os.environ.get("RESONATE_GROUP", "default"), "group"),
        pid=_name(pid if pid is not None else _some_pid(), "pid"),
        codec=written_with,
        moves=moves,
        clock=kept,
        telemetry=None if telemetry is None else _having(telemetry, "telemetry", "open"),
        tracers=tuple(_having(tracer, "a tracer", "record") for tracer in _each(tracers, "tracers")),
        limits=Limits(
            concurrency=_count(concurrency, "concurrency", least=1),
            continuations=_count(continuations, "continuations", least=0),
            continuation_age_ms=None if continuation_age is None else _positive(continuation_age, "continuation_age"),
            ttl_ms=_positive(ttl, "ttl"),
        ),
        threads=_count(threads if threads is not None else min(32, (os.cpu_count() or 1) + 4), "threads", least=1),
        grace_ms=milliseconds(grace, "grace"),
        timeout_ms=_positive(timeout, "timeout"),
        step_timeout_ms=_positive(step_timeout, "step_timeout"),
        retry=retry or STEP_RETRY,
        registry=Registry(),
        dependencies=Dependencies(),
        host=REAL if isinstance(kept, SystemClock) else VIRTUAL,
    )


def connect(chosen: Settings) -> Store:
    """Return the store of a client that is being opened; opens nothing."""
    return chosen.backend.connect(group=chosen.group, pid=chosen.pid)


def parts(chosen: Settings, store: Store) -> Parts:
    """Put together what runs while a client is open. Starts nothing; called on the loop that will run it.

    The store has been started, since it may have to ask its server how it speaks.
    """
    recorder: Recorder | None = None
    if chosen.telemetry is not None:
        recorder = chosen.telemetry.open(
            clock=chosen.clock,
            codec=chosen.codec,
            load=lambda: worker.load,
        )
    teller = None if recorder is None else chosen.pid
    observe = Observers(chosen.tracers if recorder is None else (*chosen.tracers, recorder)).observe
    asked = store if observe is None else Measured(store, observe)
    if chosen.moves is not None:
        asked = Offloading(asked, chosen.moves, chosen.clock)
    patient = Patient(asked, chosen.clock, chosen.host.draw)
    alarms = Alarms(chosen.clock)
    pool = chosen.host.pool(chosen.threads)
    env = Environment(
        codec=chosen.codec,
        registry=chosen.registry,
        address=_addresses(store),
        random=random.Random,
        logger=logs.WorkflowLog,
        observe=observe,
        warn=log.warning,
        dialect=store.dialect,
        dependencies=chosen.dependencies,
        timeout_ms=chosen.timeout_ms,
        step_timeout_ms=chosen.step_timeout_ms,
        step_retry=chosen.retry,
        carried=None if recorder is None else recorder.carried,
        shortly_ms=0 if recorder is None else recorder.delay_ms,
        enter=None if recorder is None else recorder.enter,
        timer_made=lambda task_id: worker.timer_made(task_id),  # noqa: PLW0108 - the worker is made further down
    )
    worker: Worker
    watcher = Watcher(patient, chosen.clock, alarms, lambda promise_id: worker.drives(promise_id))  # noqa: PLW0108 - made further down
    steps = chosen.host.steps(
        clock=chosen.clock,
        pool=pool,
        dependencies=chosen.dependencies,
        draw=chosen.host.draw,
        observe=observe,
        around=None if recorder is None else recorder.around,
    )
    leases = LeaseKeeper(
        store=store if recorder is None else Measured(store, recorder.record),
        clock=chosen.clock,
        pid=chosen.pid,
        ttl_ms=chosen.limits.ttl_ms,
        on_lost=lambda task_id, version, reason: worker.lease_lost(task_id, version, reason),  # noqa: PLW0108 - as above
        on_refused=lambda error: worker.refused(error),  # noqa: PLW0108 - as above
        own_thread=chosen.host.heartbeat_thread,
    )
    tools = Tools(store=patient, clock=chosen.clock, alarms=alarms, steps=steps, watcher=watcher, teller=teller)
    worker = Worker(
        pid=chosen.pid,
        env=env,
        tools=tools,
        leases=leases,
        limits=chosen.limits,
        hurry=patient.hurry,
        leave=store.leave if isinstance(store, Leaves) else None,
    )
    return Parts(
        store=patient,
        backing=store,
        env=env,
        alarms=alarms,
        watcher=watcher,
        worker=worker,
        steps=steps,
        pool=pool,
        recorder=recorder,
        teller=teller,
    )


def backend_of(
    backend: str | Backend | None, clock: Clock | None, token: Token | None, *, patience: Duration = 10.0
) -> Backend:
    """Return the backend that a URL names; `patience` is how long to try to reach a server. Raise `UsageError`."""
    if backend is None:
        backend = os.environ.get("RESONATE_URL", "memory://")
        if not backend:
            raise UsageError("RESONATE_URL is empty.", hint="Set it to a URL, 'sqlite:///app.db' say, or not at all.")
    scheme = urlsplit(backend).scheme if isinstance(backend, str) else "a backend of your own"
    if token is not None and scheme not in {"http", "https"}:
        raise UsageError(
            f"A token is for a server that is given by its URL, http:// or https://, not for {scheme}.",
            hint="Give the token to the HttpBackend, or leave it out.",
        )
    if not isinstance(backend, str):
        if not callable(getattr(backend, "connect", None)):
            msg = f"A backend is a URL or an object with connect(group=, pid=), not {type(backend).__name__}."
            raise UsageError(msg)
        return backend
    match scheme:
        case "memory":
            from resonate.adapters.memory import MemoryServer

            return MemoryServer(clock=clock or SystemClock())
        case "sqlite":
            from resonate.adapters import sqlite

            return sqlite.from_url(backend, clock)
        case "http" | "https":
            from resonate.adapters.http import HttpBackend

            return HttpBackend(backend, token=token, clock=clock, patience=patience)
        case _:
            if not scheme:
                raise UsageError(f"{backend!r} is no URL.", hint=f"A file is given as 'sqlite:///{backend}'.")
            raise UsageError(
                f"There is no backend for {scheme!r} URLs in this version.",
                hint="Give 'http://host:8001' for a server, 'sqlite:///app.db' for a file, or 'memory://' to keep "
                "everything in this process's memory.",
            )


def _codec(given: Codec | None) -> tuple[Codec, Moves | None]:
    """Return what writes and reads values, and what moves large ones out, if anything does."""
    from resonate.adapters.codecs.limited import limited

    if given is None:
        return limited(_json()), None
    from resonate.adapters.codecs.offloaded import Offloaded

    codec = check_codec(given)
    if isinstance(codec, Offloaded):
        return codec.reading(), codec
    from resonate.adapters.codecs.checked import Checked

    if isinstance(codec, Checked) and isinstance(codec.inner, Offloaded):
        return Checked(codec.inner.reading()), codec.inner
    return limited(codec), None


def _json() -> Codec:
    from resonate.adapters.codecs.json import JsonCodec

    return JsonCodec()


def _addresses(store: Store) -> Callable[[str | None], str]:
    def address(target: str | None) -> str:
        return target if target is not None and "://" in target else store.anycast(target)

    return address


def _some_pid() -> str:
    host = "".join(char for char in socket.gethostname().lower() if char.isalnum())[:16] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


def _name(value: object, what: str) -> str:
    allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
    if not isinstance(value, str) or not value or value.strip(allowed):
        msg = f"{what} is a name of letters, digits and - _ . ~, not {value!r}."
        raise UsageError(msg, hint="It becomes part of an address.")
    return value


def _having(value: T, what: str, *methods: str) -> T:
    if isinstance(value, type):
        raise UsageError(
            f"{value.__name__} is a class, and {what} is one of its objects.", hint="Call it: give what it makes."
        )
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing:
        raise UsageError(f"{what} has the methods {', '.join(methods)}; {value!r} lacks {', '.join(missing)}.")
    return value


def _each(value: Any, what: str) -> Iterable[Any]:
    if not hasattr(value, "__iter__"):
        raise UsageError(f"{what} is a list, not {type(value).__name__}.")
    each: Iterable[Any] = value
    return each


def _count(value: Any, what: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        msg = f"{what} is a whole number from {least}, not {value!r}."
        raise UsageError(msg)
    return value


def _positive(duration: Duration, what: str) -> int:
    amount = milliseconds(duration, what)
    if amount < 1:
        msg = f"{what} is longer than nothing, not {duration!r}."
        raise UsageError(msg)
    return amount
