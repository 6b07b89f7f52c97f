"""A ready system in memory and on virtual time: clients, crashes, and a look inside."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from types import TracebackType
from typing import Any, Protocol, Self

from attrs import evolve

from resonate.adapters.codecs.checked import Checked
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.codecs.limited import Limited
from resonate.adapters.codecs.wrapper import Wrapper
from resonate.adapters.memory import MemoryServer
from resonate.client import Resonate
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.settings import DEFAULT_SETTINGS, Settings
from resonate.core.protocol.snapshot import Snapshot
from resonate.core.values import Codec
from resonate.ports.store import Backend
from resonate.testing.clock import VirtualClock
from resonate.testing.field import FieldServer
from resonate.testing.inside import kill


class Server(Backend, Protocol):
    """A backend that shows what it holds, as `MemoryServer` and `SqliteServer` do."""

    def snapshot(self) -> Snapshot:
        """Return all that is stored, as stored."""
        ...


class Harness:
    """A memory server on a virtual clock that jumps by itself, and the clients of it.

    A year of `ctx.sleep` takes milliseconds. Use it as an async context manager; clients made by `client` are
    opened with `async with`, or by `open`, and those still open at the end are closed.

    Args:
        clock: the virtual clock; one that jumps when everything waits, by default.
        settings: those of the server.
        server: made on the harness's clock, e.g. `lambda clock: SqliteServer(path, clock=clock)`; a memory server
            with these settings by default.
        dialect: the clients find a server that speaks so, as some in the field do, in place of our own; but no message
            gets lost, whatever it says.
        check: whether each value that a client writes is read back at once and compared (`Checked`).
        defaults: keyword arguments for every client, e.g. `continuations=0` to force a replay at each resume.
    """

    def __init__(
        self,
        *,
        clock: VirtualClock | None = None,
        settings: Settings = DEFAULT_SETTINGS,
        server: Callable[[VirtualClock], Server] | None = None,
        dialect: Dialect | None = None,
        check: bool = True,
        **defaults: Any,
    ) -> None:
        self.clock = clock or VirtualClock()
        if dialect is not None:
            settings = evolve(settings, targeted_timers=dialect.targeted_timers)
        memory = MemoryServer(clock=self.clock, settings=settings)
        self.server: Server = memory if server is None else server(self.clock)
        self.backend: Server = self.server
        if dialect is not None:  # but for one thing: nothing gets lost here, and asking again each minute costs
            self.backend = FieldServer(memory, evolve(dialect, loses_messages=False))
        self._check = check
        self._defaults = defaults
        self._open: list[Resonate] = []

    async def __aenter__(self) -> Self:
        """Give the harness; nothing runs yet."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Kill the clients that are still open."""
        for client in tuple(self._open):
            await self.crash(client)

    def client(self, *, backend: Backend | None = None, **options: Any) -> Resonate:
        """Return a client of the server, not open yet; `backend` goes between, e.g. `Faulty(harness.server)`."""
        given = {**self._defaults, **options}
        if self._check:
            given["codec"] = _checked(JsonCodec() if given.get("codec") is None else given["codec"])
        return Resonate(backend or self.backend, clock=self.clock, **given)

    async def open(self, client: Resonate) -> Resonate:
        """Open a client without a `with` block."""
        await client.__aenter__()
        self._open.append(client)
        return client

    @property
    def opened(self) -> tuple[Resonate, ...]:
        """The clients that `open` opened and nobody has crashed."""
        return tuple(self._open)

    async def crash(self, client: Resonate) -> None:
        """Drop a client where it stands: not one more request is sent, and its leases lapse. As a SIGKILL would."""
        if client in self._open:
            self._open.remove(client)
        await kill(client)

    def snapshot(self) -> Snapshot:
        """Return all that the server has stored, as its clients see it."""
        return self.backend.snapshot()


def _checked(codec: Codec) -> Codec:
    """Return a codec whose values are checked where they are written, below what encrypts or moves them."""
    if isinstance(codec, Limited):
        return Limited(_checked(codec.inner), codec.limit)
    if not isinstance(codec, Wrapper):
        return Checked(codec)
    twin = copy(codec)
    twin.inner = _checked(codec.inner)
    return twin
