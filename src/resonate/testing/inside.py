"""What the test kit knows of a client that others need not know."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from resonate import client
from resonate import sync as blocking
from resonate.core.registry import Registry
from resonate.wiring import Settings


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


def _session(one: client.Resonate | blocking.Resonate) -> client.Session:
    plain = one._client if isinstance(one, blocking.Resonate) else one  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return plain._session  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
