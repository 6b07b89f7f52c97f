"""Asks a server how it speaks, by requests that change nothing.

Law 1: nothing is created, settled or claimed: every request names what does not exist, or is malformed on purpose.
Law 2: what can't be told is taken to be as with most servers in the field.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from attrs import evolve

from resonate.core.ids import SEPARATOR
from resonate.core.protocol.dialect import FIELD, Dialect
from resonate.core.protocol.records import Tag
from resonate.core.protocol.requests import (
    PromisePage,
    PromiseRegisterCallback,
    PromiseSearch,
    Rejection,
    Request,
    Status,
    TaskAcquire,
)

Edit: TypeAlias = Callable[[bytes], bytes]
"""Changes an envelope before it is sent."""
Ask: TypeAlias = Callable[[Request[Any], Edit], Awaitable[Any]]
"""Does one request, with its envelope changed."""

OLDER: Final = "."

_NOBODY: Final = "resonate-probe"


async def ask_dialect(ask: Ask) -> Dialect:
    """Return how the server speaks. Raise what `ask` raises."""
    separator, searches, knows_delta = await asyncio.gather(_separator(ask), _searches(ask), _knows_delta(ask))
    if knows_delta:  # a server made of this library's machine
        return Dialect(separator=separator, searches=searches)
    return evolve(FIELD, separator=separator, searches=searches)


async def _separator(ask: Ask) -> str:
    """Ask about two promises that have one origin in one grammar of ids and two in the other.

    A server that knows the grammar finds that they do not exist; one that does not finds that their origins differ.
    """
    if await _refusal(ask, _siblings(SEPARATOR)) == Status.BAD_REQUEST:
        older = await _refusal(ask, _siblings(OLDER))
        if older == Status.NOT_FOUND:
            return OLDER
    return SEPARATOR


def _siblings(separator: str) -> PromiseRegisterCallback:
    return PromiseRegisterCallback(awaited=f"{_NOBODY}{separator}1", awaiter=f"{_NOBODY}{separator}2")


async def _searches(ask: Ask) -> bool:
    found = await ask(PromiseSearch(tags={Tag.HOME: _NOBODY}, limit=1), as_it_is)
    return isinstance(found, PromisePage)


async def _knows_delta(ask: Ask) -> bool:
    """Send a claim whose `delta` is no flag: who does not know it passes over it, and finds that there is no task."""
    request = TaskAcquire(id=_NOBODY, version=0, pid=_NOBODY, ttl=1, delta=True)
    return await _refusal(ask, request, _spoil) == Status.BAD_REQUEST


def as_it_is(envelope: bytes) -> bytes:
    """Change nothing."""
    return envelope


def _spoil(envelope: bytes) -> bytes:
    """Change the `delta` of a `TaskAcquire` into one that no server may accept."""
    return envelope.replace(b'"delta":true', b'"delta":"?"')


async def _refusal(ask: Ask, request: Request[Any], edit: Edit = as_it_is) -> int | None:
    reply = await ask(request, edit)
    return reply.status if isinstance(reply, Rejection) else None
