"""What the test kit knows of a client that others need not know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Self, TypeAlias, TypeVar

from attrs import evolve

from resonate import client
from resonate import sync as blocking
from resonate.core.durations import Duration
from resonate.core.registry import Registry
from resonate.errors import UsageError
from resonate.testing.clock import VirtualClock
from resonate.wiring import Settings

Ask: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]
Call: TypeAlias = Callable[..., Any]
T = TypeVar("T")
Closing: TypeAlias = Coroutine[Any, Any, None]
Looking: TypeAlias = Coroutine[Any, Any, T]


def settings_of(one: client.Resonate | blocking.Resonate) -> Settings:
    """Return what a client was made with: its functions, its codec, its dependencies."""
    return _session(one).settings


def take_over(one: client.Resonate | blocking.Resonate, other: Settings) -> None:
    """Give a client, before it is opened, the functions and dependencies of another, to be added to apart."""
    registry = Registry()
    for function in other.registry.functions():
        registry.add(function)
    session = _session(one)
    session.settings = evolve(session.settings, registry=registry, dependencies=other.dependencies.copy())


def share(one: client.Resonate | blocking.Resonate, other: client.Resonate | blocking.Resonate) -> None:
    """Let a client, before it is opened, have the very functions and dependencies of another."""
    session, whole = _session(one), settings_of(other)
    session.settings = evolve(session.settings, registry=whole.registry, dependencies=whole.dependencies)


def options_like(settings: Settings) -> dict[str, Any]:
    """Return the arguments that make a client like another, but for where its promises live."""
    return {
        "codec": settings.codec,
        "timeout": settings.timeout_ms / 1_000,
        "step_timeout": settings.step_timeout_ms / 1_000,
        "retry": settings.retry,
    }


async def kill(one: client.Resonate) -> None:
    """Drop a client where it stands, as a SIGKILL would."""
    await one._kill()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # a dying process asks nobody


def closed(one: blocking.Resonate, limited: Callable[[Closing], Closing], look: Callable[[], Looking[T]]) -> T | None:
    """Close a blocking client, but for its event loop, and return what `look` finds there; None if it was closed."""

    async def ask() -> T:
        await limited(one._client.__aexit__(None, None, None))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return await look()

    try:
        return one._door.call(ask)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except UsageError:
        return None


class HeldTime:
    """Virtual time that passes only while one of some blocking clients is asked something.

    Between two calls of a test their event loops, on threads of their own, have nothing to do: time would run away.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls = 0
        self._hold: AbstractContextManager[None] | None = None

    def __enter__(self) -> Self:
        """Hold time from now on."""
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        """Let it pass."""
        self._let()

    def add(self, one: blocking.Resonate) -> Call:
        """Let time pass while this client is asked something; return how it is asked."""
        door = one._door  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        inner: Call = door.call

        def call(ask: Ask, timeout: Duration | None = None, what: str = "it") -> Any:
            return inner(lambda: self._asked(ask), timeout, what)

        setattr(door, "call", call)  # noqa: B010 - the one door of a client, its handles, and its promises
        return call

    async def _asked(self, ask: Ask) -> Any:
        """Ask; time is held again before anything else happens on the client's loop."""
        with self._lock:
            self._calls += 1
            self._let()
        try:
            return await ask()
        finally:
            with self._lock:
                self._calls -= 1
                if not self._calls:
                    self._take()

    def _take(self) -> None:
        self._hold = self._clock.busy()
        self._hold.__enter__()

    def _let(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.__exit__(None, None, None)


def _session(one: client.Resonate | blocking.Resonate) -> client.Session:
    plain = one._client if isinstance(one, blocking.Resonate) else one  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return plain._session  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
