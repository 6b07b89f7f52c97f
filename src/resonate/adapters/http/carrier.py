"""What carries HTTP requests on one event loop: connections of our own, or a client of httpx.

Law 1: a request is sent once, and ends in bounded time whatever the server does. No redirect is followed.
Law 2: what comes back is read up to a limit, which holds for what was packed, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

import httpx
from attrs import define, field

from resonate.adapters.http.connection import Reply, TooLong
from resonate.adapters.http.pool import Pool
from resonate.core.frozen import frozen

_ALWAYS: Final = {"accept-encoding": "identity", "user-agent": "resonate-python"}
_POST: Final = {**_ALWAYS, "accept": "*/*", "content-type": "application/json"}
_STREAM: Final = {**_ALWAYS, "accept": "text/event-stream", "cache-control": "no-store"}
_PIECE: Final = 16 * 2**10


@frozen(kw_only=True)
class Limits:
    """How much and how long.

    Args:
        timeout: seconds for a whole request.
        connect: seconds of them for a connection.
        silence: seconds without a message after which the stream is opened anew: its server may be gone unnoticed.
        reply_bytes: the longest reply.
        message_bytes: the longest message.
    """

    timeout: float = 30.0
    connect: float = 5.0
    silence: float = 120.0
    reply_bytes: int = 64 * 2**20
    message_bytes: int = 8 * 2**20

    def phases(self, read: float) -> httpx.Timeout:
        """Return how long each part of a request may take, where one part of its reply may take `read`."""
        return httpx.Timeout(connect=self.connect, read=read, write=self.timeout, pool=self.timeout)


@frozen
class Posted:
    """What was answered: the status, the body, and how long the server asks to be left alone (`retry-after`)."""

    status: int
    body: bytes
    wish: str = ""


class Carrier(Protocol):
    """Carries requests of one event loop. `authorization` is the header of that name."""

    async def post(self, envelope: bytes, authorization: str | None) -> Posted:
        """Post an envelope, in bounded time. Raise `TooLong` where the reply is, and else what the library raises."""
        ...

    async def stream(self, url: httpx.URL, authorization: str | None) -> httpx.Response:
        """Ask for a stream; return the response before its body is read. The caller closes it."""
        ...

    async def close(self) -> None:
        """Close all connections; what is under way ends with an error."""
        ...


@define(eq=False, repr=False)
class LeanCarrier:
    """Posts over connections of its own, with a tenth of the work that a client of httpx does; httpx has the streams.

    Args:
        url: where envelopes are posted.
        limits: see `Limits`.
        pool: connections to there.
        transport: for streams.
    """

    _url: httpx.URL
    _limits: Limits
    _pool: Pool
    _transport: httpx.AsyncBaseTransport
    _authorization: str | None = field(default=None, init=False)
    _head: bytes = field(default=b"", init=False)

    async def post(self, envelope: bytes, authorization: str | None) -> Posted:
        """See `Carrier`."""
        if authorization != self._authorization or not self._head:
            self._head, self._authorization = _head(self._url, authorization), authorization
        reply = await self._pool.ask(b"%b%d\r\n\r\n%b" % (self._head, len(envelope), envelope))
        if b"content-encoding" in reply.headers:
            return await _read(_packed(reply), self._limits.reply_bytes)
        return Posted(reply.status, reply.body, reply.headers.get(b"retry-after", b"").decode("latin-1"))

    async def stream(self, url: httpx.URL, authorization: str | None) -> httpx.Response:
        """See `Carrier`."""
        phases = {"timeout": self._limits.phases(self._limits.silence).as_dict()}
        request = httpx.Request("GET", url, headers=_with(_STREAM, authorization), extensions=phases)
        response = await self._transport.handle_async_request(request)
        response.request = request
        return response

    async def close(self) -> None:
        """See `Carrier`."""
        await self._pool.close()
        await self._transport.aclose()


@frozen
class ClientCarrier:
    """Sends by a client with all that it was configured with.

    Args:
        url: where envelopes are posted.
        limits: see `Limits`.
        client: the client.
        owned: whether it is closed with the carrier: not if it is somebody else's.
    """

    _url: httpx.URL
    _limits: Limits
    _client: httpx.AsyncClient
    _owned: bool = field(alias="owned")
    _under_way: set[asyncio.Timeout] = field(factory=set[asyncio.Timeout], init=False, eq=False)

    async def post(self, envelope: bytes, authorization: str | None) -> Posted:
        """See `Carrier`."""
        limit = asyncio.timeout(self._limits.timeout)
        self._under_way.add(limit)
        try:
            async with limit:
                return await self._post(envelope, authorization)
        except TimeoutError:
            if limit not in self._under_way:
                raise ConnectionAbortedError("the client was closed") from None
            raise
        finally:
            self._under_way.discard(limit)

    async def _post(self, envelope: bytes, authorization: str | None) -> Posted:
        headers, timeout = _with(_POST, authorization), self._limits.phases(self._limits.timeout)
        request = self._client.build_request("POST", self._url, headers=headers, content=envelope, timeout=timeout)
        return await _read(await self._client.send(request, stream=True), self._limits.reply_bytes)

    async def stream(self, url: httpx.URL, authorization: str | None) -> httpx.Response:
        """See `Carrier`."""
        headers, timeout = _with(_STREAM, authorization), self._limits.phases(self._limits.silence)
        request = self._client.build_request("GET", url, headers=headers, timeout=timeout)
        return await self._client.send(request, stream=True)

    async def close(self) -> None:
        """See `Carrier`. What is under way ends with an error, whoever's the client is."""
        now = asyncio.get_running_loop().time()
        while self._under_way:
            limit = self._under_way.pop()
            if not limit.expired():
                limit.reschedule(now)
        if self._owned:
            await self._client.aclose()


# ---------------------------------------------------------------- heads


def _with(headers: Mapping[str, str], authorization: str | None) -> dict[str, str]:
    return dict(headers) if authorization is None else {**headers, "authorization": authorization}


def _head(url: httpx.URL, authorization: str | None) -> bytes:
    """Return the head of a post, up to the number of bytes in it. httpx has checked and escaped what is in the URL."""
    headers = httpx.Headers(_with(_POST, authorization)).raw
    lines: list[tuple[bytes, bytes]] = [(b"host", url.netloc), *headers, (b"content-length", b"")]
    return b"POST %b HTTP/1.1\r\n%b" % (url.raw_path, b"\r\n".join(b"%b: %b" % line for line in lines))


# ---------------------------------------------------------------- bodies


async def _read(response: httpx.Response, limit: int) -> Posted:
    """Read a response to its end, and close it. Raise `TooLong`."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise TooLong(f"it has more than {limit} bytes")
    finally:
        await response.aclose()
    return Posted(response.status_code, b"".join(chunks), response.headers.get("retry-after", ""))


def _packed(reply: Reply) -> httpx.Response:
    return httpx.Response(reply.status, headers=list(reply.headers.items()), stream=_Pieces(reply.body))


@frozen
class _Pieces(httpx.AsyncByteStream):
    """A packed body in pieces, so that it is not unpacked much further than the limit."""

    _body: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for begin in range(0, len(self._body), _PIECE):
            yield self._body[begin : begin + _PIECE]
