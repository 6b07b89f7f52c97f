"""Short HTTP/1.1 exchanges with one server, over connections that are kept: a request whole, and its reply whole.

Law 1: a connection carries one exchange at a time, and is kept only if both ends know where the reply ended.
Law 2: a request that a kept connection did not carry, since the server closed it meanwhile, is sent once more on a new
    one. So what is sent here must be harmless when it is done twice, as the protocol's requests are.
Law 3: what is read is bounded, whatever the server sends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field, frozen

_HEAD_BYTES: Final = 65_536
_BLANK: Final = b"\r\n\r\n"


class BadReply(Exception):
    """What came is not HTTP, or ended too early."""


class ReplyTooLong(Exception):
    """The reply has more bytes than may be read."""


class _Unheard(Exception):
    """The connection was closed before anything of a reply had come."""


@frozen
class Reply:
    """What the server answered. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@frozen(kw_only=True)
class Origin:
    """Where a server listens."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Exchanges:
    """A pool of connections. It belongs to one event loop.

    Args:
        origin: where they lead.
        limit: how many there may be at once; who comes then waits, in order.
    """

    def __init__(self, origin: Origin, limit: int) -> None:
        self._origin = origin
        self._room = asyncio.Semaphore(limit)
        self._idle: list[_Connection] = []
        self._closed = False

    async def ask(self, request: bytes, connect_seconds: float, reply_bytes: int) -> Reply:
        """Send a request; return its reply. Raise `OSError`, `TimeoutError`, `BadReply` or `ReplyTooLong`."""
        async with self._room:
            known = self._known()
            if known is not None:
                try:
                    return await self._ask(known, request, reply_bytes)
                except _Unheard:
                    pass
            fresh = await self._opened(connect_seconds)
            try:
                return await self._ask(fresh, request, reply_bytes)
            except _Unheard as error:
                raise BadReply("it closed the connection without a reply") from error

    def close(self) -> None:
        """Close all connections that are not in use; those that are, when they are done."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _known(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _opened(self, seconds: float) -> _Connection:
        to = self._origin
        async with asyncio.timeout(seconds):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, to.host, to.port, ssl=to.tls)
        return connection

    async def _ask(self, connection: _Connection, request: bytes, reply_bytes: int) -> Reply:
        try:
            reply = await connection.ask(request, reply_bytes)
        except BaseException:
            connection.close()
            raise
        if connection.usable and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        return reply


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._reading: _Reading | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._keeps = True

    # ------------------------------------------------------------ for the pool

    @property
    def usable(self) -> bool:
        return self._keeps and not self._transport.is_closing()

    async def ask(self, request: bytes, reply_bytes: int) -> Reply:
        self._reading = _Reading(reply_bytes)
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        self._keeps = False
        self._transport.abort()

    # ------------------------------------------------------------ for the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        reading = self._reading
        if reading is None:  # nobody asked for anything
            self.close()
            return
        try:
            reply = reading.feed(data)
        except (BadReply, ReplyTooLong) as error:
            self._fail(error)
            return
        if reply is not None:
            self._done(reading, reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._keeps = False
        if self._reading is None:
            return
        reply = self._reading.end()
        if reply is not None:
            self._done(self._reading, reply)
        elif self._reading.begun:
            self._fail(BadReply("it closed the connection within a reply"))
        else:
            self._fail(_Unheard(exc))

    def _done(self, reading: _Reading, reply: Reply) -> None:
        self._reading = None
        self._keeps = self._keeps and reading.keeps
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(reply)

    def _fail(self, error: Exception) -> None:
        self._reading, self._keeps = None, False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


# ---------------------------------------------------------------- reading a reply


@define
class _Reading:
    """A reply, as far as it has come."""

    limit: int
    keeps: bool = True
    """Whether the connection can carry another exchange."""
    _held: bytes = b""
    _status: int = 0
    _headers: dict[str, str] = field(factory=dict[str, str])
    _take: Callable[[], bool] | None = None
    """Takes what there is of the body; None before the head is known."""
    _left: int = 0
    """Bytes that are still to come of the body, or of the chunk."""
    _chunks: list[bytes] = field(factory=list[bytes])
    _size: int = 0

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return bool(self._held) or self._status > 0

    def feed(self, data: bytes) -> Reply | None:
        """Take bytes; return the reply if it is whole."""
        self._held = self._held + data if self._held else data
        while self._take is None:
            if not self._head():
                return None
        if not self._take():
            return None
        if self._held:
            self.keeps = False  # more than was asked for
        return self._reply()

    def end(self) -> Reply | None:
        """Return the reply if the end of the connection is its end."""
        self.keeps = False
        return self._reply() if self._take == self._until_closed else None

    def _reply(self) -> Reply:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        return Reply(self._status, self._headers, body)

    # ------------------------------------------------------------ the head

    def _head(self) -> bool:
        """Take the head; return whether it was whole."""
        end = self._held.find(_BLANK)
        if end < 0 or end > _HEAD_BYTES:
            if max(end, len(self._held)) > _HEAD_BYTES:
                raise BadReply("the head of its reply does not end")
            if not b"HTTP/1.".startswith(self._held[:7]):
                raise BadReply("it does not speak HTTP/1")
            return False
        first, *lines = self._held[:end].decode("latin-1").split("\r\n")
        self._held = self._held[end + len(_BLANK) :]
        version, status = _status_of(first)
        if status < 200:
            return True
        self._status, self._headers = status, _headers_of(lines)
        connection = self._headers.get("connection", "").lower()
        self.keeps = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)
        self._take = self._framing()
        return True

    def _framing(self) -> Callable[[], bool]:
        coding = self._headers.get("transfer-encoding", "").strip().lower()
        if self._status in {204, 304}:
            return self._counted
        if coding == "chunked":
            return self._chunked
        length = self._headers.get("content-length")
        if coding or length is None:
            self.keeps = False
            return self._until_closed
        self._left = _number(length, 10)
        if self._left > self.limit:
            raise ReplyTooLong
        return self._counted

    # ------------------------------------------------------------ the body

    def _counted(self) -> bool:
        self._move()
        return self._left == 0

    def _until_closed(self) -> bool:
        self._left = len(self._held)
        self._move()
        return False

    def _chunked(self) -> bool:
        """Take chunks: a line with a number, so many bytes, the end of a line; at last 0 and trailers."""
        while True:
            if self._left > 0:
                self._move()
                if self._left > 0:
                    return False
                self._left = -2  # the end of the line is still to come
            if self._left == -2:
                if len(self._held) < 2:
                    return False
                if self._held[:2] != b"\r\n":
                    raise BadReply("its chunks do not fit")
                self._held, self._left = self._held[2:], 0
            if self._left == -1:
                return self._trailers()
            line, ended, rest = self._held.partition(b"\r\n")
            if not ended:
                if len(line) > _HEAD_BYTES:
                    raise BadReply("its chunks do not fit")
                return False
            self._left = _number(line.split(b";")[0].strip().decode("latin-1"), 16)
            self._held = rest
            if self._left == 0:
                self._left = -1

    def _trailers(self) -> bool:
        while self._held:
            line, ended, rest = self._held.partition(b"\r\n")
            if not ended:
                break
            self._held = rest
            if not line:
                return True
        if len(self._held) > _HEAD_BYTES:
            raise BadReply("its trailers do not end")
        return False

    def _move(self) -> None:
        """Move up to as many bytes as are left into the body."""
        if not self._held or not self._left:
            return
        part, self._held = self._held[: self._left], self._held[self._left :]
        self._left -= len(part)
        self._size += len(part)
        if self._size > self.limit:
            raise ReplyTooLong
        self._chunks.append(part)


def _status_of(line: str) -> tuple[str, int]:
    version, _, rest = line.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isascii() and rest[:3].isdigit()):
        raise BadReply("it does not speak HTTP/1")
    return version, int(rest[:3])


def _headers_of(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadReply("a header of its reply is none")
        name, value = name.strip().lower(), value.strip()
        if name == "content-length" and headers.get(name, value) != value:
            raise BadReply("its reply has two lengths")
        headers[name] = value
    return headers


def _number(text: str, base: int) -> int:
    digits = "0123456789abcdef"[:base]
    if not text or len(text) > 16 or text.lower().strip(digits):
        raise BadReply(f"a length of its reply is {text[:20]!r}")
    return int(text, base)
