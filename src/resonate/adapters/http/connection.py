"""One connection of HTTP/1.1 that is kept: a request, its reply, then the next request.

Law 1: what comes is read by httptools, which is llhttp, the parser of Node; what that refuses ends the connection.
Law 2: a reply is that of the one request under way. A connection that said more, or said it would close, or that was
    left by who asked, is not used again.
Law 3: what is kept of a reply is bounded: its body, and what stands around the body.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from typing import Final, Protocol, cast

from attrs import define, field
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from resonate.core.frozen import frozen

_AROUND: Final = 64 * 2**10
"""So many bytes may stand around a body, and `_AROUND_EACH` more for each byte in it: chunks may be short."""
_AROUND_EACH: Final = 16
_LEAST_FINAL: Final = 200
_FRAMES: Final = (b"content-length", b"transfer-encoding")
_KEPT: Final = frozenset({*_FRAMES, b"content-encoding", b"retry-after"})


class TooLong(Exception):
    """A reply is longer than it may be."""


@frozen
class Reply:
    """What was answered: its status, the headers that say something here (in small letters), its body as it came."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@define(eq=False, repr=False)
class Asked:
    """One request: its bytes, when it has to be answered, and its answer to be. `by` is who carries it now."""

    data: bytes
    deadline: float
    reply: Future[Reply]
    by: Connection | None = None


class Owner(Protocol):
    """Who hands requests to connections."""

    def answered(self, asked: Asked) -> None:
        """Hear that a request has its reply; called before `free` or `lost`."""
        ...

    def free(self, connection: Connection) -> None:
        """Hear that this connection may be given the next request."""
        ...

    def lost(self, connection: Connection, asked: Asked | None, error: Exception) -> None:
        """Hear that this connection is closed, and which request goes without a reply."""
        ...


@define(eq=False, repr=False)
class Connection(asyncio.Protocol):
    """See the module's text.

    Args:
        owner: who hears of what happens.
        limit: the longest body, in bytes.
    """

    _owner: Owner = field(alias="owner")
    _limit: int = field(alias="limit")
    since: float = 0.0
    """When it became idle; for its owner."""
    descriptor: int = -1
    """Of its socket, once it is open, where the loop tells it."""
    _transport: asyncio.Transport | None = None
    _parser: HttpResponseParser | None = None
    _asked: Asked | None = None
    _trouble: Exception | None = None
    _headers: dict[bytes, bytes] = field(factory=dict[bytes, bytes], init=False)
    _chunks: list[bytes] = field(factory=list[bytes], init=False)
    _size: int = field(default=0, init=False)
    _received: int = field(default=0, init=False)
    _framed: bool = field(default=False, init=False)
    _begun: bool = field(default=False, init=False)
    _status: int = field(default=0, init=False)
    _stays: bool = field(default=False, init=False)

    def ask(self, asked: Asked) -> None:
        """Send a request. The connection is free, as its owner knows."""
        asked.by = self
        self._asked = asked
        assert self._transport is not None
        self._transport.write(asked.data)

    def is_usable(self) -> bool:
        """Return whether it is open, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ asyncio's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = HttpResponseParser(self)
        socket = transport.get_extra_info("socket")
        self.descriptor = -1 if socket is None else socket.fileno()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._parser is None or self._trouble is not None:
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._stays = False
            if self._trouble is None:
                self._trouble = error
        if self._status:
            self._answer()
        elif self._trouble is None and self._received > _AROUND + _AROUND_EACH * self._size:
            self._trouble = ConnectionError("the server said more around its reply than in it")
        if self._trouble is not None:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, and whoever asked; a reply without a length ends here."""
        if exc is None and self._trouble is None and self._begun and not self._framed and self._asked is not None:
            assert self._parser is not None
            self._status = self._parser.get_status_code()
            self._answer()
        asked, self._asked = self._asked, None
        self._parser = self._transport = None  # both lead back here
        error = self._trouble or exc or ConnectionResetError("the server closed the connection")
        self._owner.lost(self, asked, error)

    # ------------------------------------------------------------ the parser's

    def on_message_begin(self) -> None:
        """Refuse what nobody has asked for."""
        if self._asked is None or self._status:
            self._trouble = ConnectionError("the server said more than it was asked for")
            raise self._trouble

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header if it says something here."""
        name = name.lower()
        if name in _KEPT:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Look whether it is said where the body ends."""
        assert self._parser is not None
        self._begun = self._parser.get_status_code() >= _LEAST_FINAL
        self._framed = _FRAMES[0] in self._headers or _FRAMES[1] in self._headers

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._size += len(body)
        if self._size > self._limit:
            self._trouble = TooLong(f"it has more than {self._limit} bytes")
            raise self._trouble
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Take note that the reply is whole. One that says that the reply is yet to come is passed over."""
        assert self._parser is not None
        if self._begun:
            self._status = self._parser.get_status_code()
            self._stays = self._parser.should_keep_alive()
        else:
            self._headers = {}

    # ------------------------------------------------------------ a reply

    def _answer(self) -> None:
        asked, self._asked = self._asked, None
        assert asked is not None
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        reply, stays = Reply(self._status, self._headers, body), self._stays
        self._headers, self._chunks = {}, []
        self._status = self._size = self._received = 0
        self._begun = self._framed = self._stays = False
        self._owner.answered(asked)
        if not asked.reply.done():
            asked.reply.set_result(reply)
        if stays and self._transport is not None and not self._transport.get_write_buffer_size():
            self._owner.free(self)
        else:  # a request that was answered before all of it was read leaves bytes that the next would stand behind
            self.abort()
