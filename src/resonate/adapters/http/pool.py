"""Connections to one server, for the requests of one event loop.

Law 1: there are at most so many connections. A request that finds none free waits its turn, first come first served.
Law 2: a request is written once. It ends by its reply, an error, or its time, which begins when it is asked.
Law 3: a connection that nobody uses is closed after `Route.idle` seconds; when `close` returns, all of them are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from asyncio import AbstractEventLoop, Task, TimerHandle
from collections import deque
from functools import partial
from typing import Final

from attrs import define, field, frozen

from resonate.adapters.http.connection import Asked, Connection, Reply
from resonate.idle import Awake, ShortWaits, awake_on, is_alone

_LOOK: Final = 1.0
"""How often it is looked for what has run out of time, in seconds."""
_GRAIN: Final = 0.001
"""What is due within so many seconds is due: what was asked for together ends together, as timers are no finer."""
_EYEBALLS: Final = 0.25
"""Where a name has several addresses, the next one is tried too after so many seconds (RFC 8305)."""
_AWAKE: Final = 0.000_5
"""Seconds that a loop with nothing else to do stays awake for a reply: a server nearby takes less."""


@frozen(kw_only=True)
class Route:
    """Where connections go, and what they may take.

    Args:
        host: a name or an address.
        port: the port.
        tls: for https.
        connections: how many there may be at once.
        connect: seconds for a connection.
        timeout: seconds for a request, with the wait for its connection.
        reply_bytes: the longest body of a reply.
        idle: seconds after which a connection that nobody uses is closed: before servers do that, which begin with
            five, as a request could cross with it.
        awake: seconds that a loop with nothing else to do stays awake for a reply.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    connections: int
    connect: float
    timeout: float
    reply_bytes: int
    idle: float = 4.0
    awake: float = _AWAKE


@define(eq=False, repr=False)
class Pool:
    """See the module's text. Belongs to the event loop on which it was made."""

    _route: Route
    _loop: AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _open: set[Connection] = field(factory=set[Connection], init=False)
    _idle: list[Connection] = field(factory=list[Connection], init=False)
    _opening: set[Task[None]] = field(factory=set["Task[None]"], init=False)
    _waiting: deque[Asked] = field(factory=deque[Asked], init=False)
    _asked: dict[Asked, None] = field(factory=dict[Asked, None], init=False)
    """In the order of their deadlines, as each has the same time."""
    _look: TimerHandle | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)
    _short: ShortWaits = field(init=False)
    _awake: Awake | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._short, self._awake = ShortWaits(self._route.awake), awake_on(self._loop)

    async def ask(self, data: bytes) -> Reply:
        """Send a request and return its reply. Raise `TimeoutError`, `TooLong`, or what the connection failed with."""
        asked = Asked(data, self._loop.time() + self._route.timeout, self._loop.create_future())
        self._asked[asked] = None
        if self._look is None:
            self._look_within(_LOOK)
        connection = self._usable() if self._idle else None
        if connection is not None:
            connection.ask(asked)
            self._stay_awake(asked, connection)
        else:
            self._waiting.append(asked)
            self._grow()
        try:
            return await asked.reply
        except asyncio.CancelledError:
            self._drop(asked)
            raise

    def _stay_awake(self, asked: Asked, connection: Connection) -> None:
        """Wait a little for the reply to a lone request, where there is nothing else to do meanwhile."""
        if self._awake is None or connection.descriptor < 0 or len(self._asked) > 1 or not is_alone(self._loop):
            return
        try:
            self._short.wait(partial(self._awake.wait, connection.descriptor))
        except BaseException:  # a signal's handler has raised it
            self._drop(asked)
            raise

    async def close(self) -> None:
        """Close all connections; what is under way ends with an error."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()
        for asked in list(self._asked):
            self._fail(asked, ConnectionAbortedError("the client was closed"))
        for opening in self._opening:
            opening.cancel()
        for connection in self._open:
            connection.abort()
        if self._opening:
            await asyncio.wait(self._opening)
        while self._open:  # each is closed in one of the loop's next turns  # noqa: ASYNC110
            await asyncio.sleep(0)

    # ------------------------------------------------------------ requests

    def _drop(self, asked: Asked) -> None:
        """Forget a request that nobody waits for any more, and the connection that its reply would come over."""
        self._asked.pop(asked, None)
        if asked.by is not None:
            asked.by.abort()

    def _fail(self, asked: Asked, error: Exception) -> None:
        self._drop(asked)
        if not asked.reply.done():
            asked.reply.set_exception(error)

    def _next(self) -> Asked | None:
        while self._waiting:
            asked = self._waiting.popleft()
            if not asked.reply.done():
                return asked
        return None

    def _look_around(self) -> None:
        """End what has run out of time: requests, and connections that nobody uses."""
        now = self._loop.time()
        due = now + _GRAIN
        first = next(iter(self._asked), None)
        while first is not None and first.deadline <= due:
            self._fail(first, TimeoutError())
            first = next(iter(self._asked), None)
        while self._idle and self._idle[0].since + self._route.idle <= now:
            self._idle.pop(0).abort()
        self._look = None
        if first is not None or self._open or self._opening:
            self._look_within(_LOOK if first is None else first.deadline - now)

    def _look_within(self, seconds: float) -> None:
        self._look = self._loop.call_later(
            min(_LOOK, self._route.timeout, self._route.idle, seconds), self._look_around
        )

    # ------------------------------------------------------------ connections

    def answered(self, asked: Asked) -> None:
        """See `Owner`."""
        asked.by = None
        self._asked.pop(asked, None)

    def free(self, connection: Connection) -> None:
        """See `Owner`."""
        asked = self._next()
        if asked is not None:
            connection.ask(asked)
        else:
            connection.since = self._loop.time()
            self._idle.append(connection)

    def lost(self, connection: Connection, asked: Asked | None, error: Exception) -> None:
        """See `Owner`."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if asked is not None:
            asked.by = None
            self._fail(asked, error)
        self._grow()

    def _usable(self) -> Connection | None:
        """Take the connection that was used last, so that those beyond need become idle."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
        return None

    def _grow(self) -> None:
        """Open connections for those who wait, as far as that is allowed."""
        if self._closed:
            return
        free = self._route.connections - len(self._open) - len(self._opening)
        for _ in range(min(free, len(self._waiting) - len(self._opening))):
            opening = self._loop.create_task(self._connect())
            self._opening.add(opening)
            opening.add_done_callback(self._opened)

    def _opened(self, opening: Task[None]) -> None:
        self._opening.discard(opening)
        self._grow()  # who still waits, where this one has failed

    async def _connect(self) -> None:
        try:
            connection = await self._connected()
        except Exception as error:  # noqa: BLE001 - it is handed to who asked
            asked = self._next()
            if asked is not None:
                self._fail(asked, error)
        else:
            self._open.add(connection)
            self.free(connection)

    async def _connected(self) -> Connection:
        route, loop = self._route, self._loop
        made = partial(Connection, self, route.reply_bytes)
        async with asyncio.timeout(route.connect):
            if self._tries_several():
                _, connection = await loop.create_connection(
                    made, route.host, route.port, ssl=route.tls, happy_eyeballs_delay=_EYEBALLS
                )
            else:
                _, connection = await loop.create_connection(made, route.host, route.port, ssl=route.tls)
        if not connection.is_usable():
            raise ConnectionResetError("the server closed the connection at once")
        return connection

    def _tries_several(self) -> bool:
        """Return whether the next address is to be tried while one is silent: other loops than asyncio's can't.

        Nor can asyncio's own, in some releases, where tasks begin at once.
        """
        own = isinstance(self._loop, asyncio.BaseEventLoop) and self._loop.get_task_factory() is None
        return own and not _is_address(self._route.host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
