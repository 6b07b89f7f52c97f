"""What carries HTTP requests: one carrier for each event loop that asks.

Law 1: connections belong to the loop that opened them, and are closed on it: at `close`, or when the loop ends.
Law 2: a client that was given as it is belongs to one loop; requests of other loops are handed over to that one.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from attrs import field, frozen
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient

from resonate.adapters.http.exchanges import Exchanges, Origin, Reply, ReplyTooLong

T = TypeVar("T")

Headers: TypeAlias = Mapping[str, str]
_PART = 1 << 16

_Guarded: TypeAlias = "tuple[Carrier, AsyncGenerator[None, None]]"
"""A carrier, and the generator that closes it when it is closed."""


class Carrier(Protocol):
    """Carries requests of one event loop."""

    async def post(
        self, url: httpx.URL, headers: Headers, content: bytes, timeout: httpx.Timeout, reply_bytes: int
    ) -> Reply:
        """Send a request that may be sent twice; return its reply. Raise `ReplyTooLong`, or what the library raises."""
        ...

    async def stream(self, url: httpx.URL, headers: Headers, timeout: httpx.Timeout) -> httpx.Response:
        """Get something; return the response before its body is read. The caller closes it."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@frozen
class LeanCarrier:
    """Posts over connections of its own, and gets streams by a transport, without a client around it."""

    _exchanges: Exchanges
    _transport: httpx.AsyncBaseTransport

    async def post(
        self, url: httpx.URL, headers: Headers, content: bytes, timeout: httpx.Timeout, reply_bytes: int
    ) -> Reply:
        """See `Carrier`."""
        reply = await self._exchanges.ask(_posted(url, headers, content), timeout.connect or 0, reply_bytes)
        if reply.headers.get("content-encoding", "identity") == "identity":
            return reply
        packed = httpx.Response(reply.status, headers=dict(reply.headers), stream=_Parts(reply.body))
        return Reply(reply.status, reply.headers, await _whole(packed.aiter_bytes(), reply_bytes))

    async def stream(self, url: httpx.URL, headers: Headers, timeout: httpx.Timeout) -> httpx.Response:
        """See `Carrier`."""
        request = httpx.Request("GET", url, headers=headers, extensions={"timeout": _phases(timeout)})
        response = await self._transport.handle_async_request(request)
        response.request = request
        return response

    async def close(self) -> None:
        """See `Carrier`."""
        self._exchanges.close()
        await self._transport.aclose()


def _posted(url: httpx.URL, headers: Headers, content: bytes) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, f"content-length: {len(content)}"]).encode("ascii")
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise ValueError("a header has more than one line")
    return b"POST %b HTTP/1.1\r\nhost: %b\r\n%b\r\n\r\n%b" % (url.raw_path, url.netloc, head, content)


@frozen
class _Parts(httpx.AsyncByteStream):
    """Bytes in small parts, so that what they unpack to can be counted."""

    _bytes: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._bytes), _PART):
            yield self._bytes[start : start + _PART]


async def _whole(parts: AsyncIterable[bytes], limit: int) -> bytes:
    """Join parts. Raise `ReplyTooLong`."""
    taken: list[bytes] = []
    size = 0
    async for part in parts:
        taken.append(part)
        size += len(part)
        if size > limit:
            raise ReplyTooLong
    return b"".join(taken)


@frozen
class ClientCarrier:
    """Sends by a client with all that it was configured with."""

    _client: httpx.AsyncClient
    _owned: bool = field(alias="owned")

    async def post(
        self, url: httpx.URL, headers: Headers, content: bytes, timeout: httpx.Timeout, reply_bytes: int
    ) -> Reply:
        """See `Carrier`."""
        async with self._client.stream("POST", url, headers=headers, content=content, timeout=timeout) as response:
            body = await _whole(response.aiter_bytes(), reply_bytes)
        return Reply(response.status_code, response.headers, body)

    async def stream(self, url: httpx.URL, headers: Headers, timeout: httpx.Timeout) -> httpx.Response:
        """See `Carrier`."""
        request = self._client.build_request("GET", url, headers=headers, timeout=timeout)
        return await self._client.send(request, stream=True)

    async def close(self) -> None:
        """Close the client, unless it is somebody else's."""
        if self._owned:
            await self._client.aclose()


def _phases(timeout: httpx.Timeout) -> dict[str, float | None]:
    return {"connect": timeout.connect, "read": timeout.read, "write": timeout.write, "pool": timeout.pool}


def default_carrier(url: str, connections: int) -> Callable[[], Carrier]:
    """Return a maker of carriers to `url`: lean ones, unless the environment names a proxy for it."""
    parts = urlsplit(url)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    if parts.scheme in getproxies() and not proxy_bypass(parts.hostname or ""):
        return lambda: ClientCarrier(HttpxAiohttpClient(limits=limits), owned=True)
    # Loading the certificates takes longer than a hundred requests: it is done once, and only where there are some.
    tls = httpx.create_ssl_context() if parts.scheme == "https" else None
    port = parts.port or (80 if tls is None else 443)
    origin = Origin(host=parts.hostname or "", port=port, tls=tls)
    return lambda: LeanCarrier(Exchanges(origin, connections), AiohttpTransport(verify=tls or False, limits=limits))


ClientOrMaker: TypeAlias = httpx.AsyncClient | Callable[[], httpx.AsyncClient]


def given_carrier(client: ClientOrMaker) -> Callable[[], Carrier]:
    """Return a maker of carriers that send by a user's client, or by clients that a user's function makes."""
    if isinstance(client, httpx.AsyncClient):
        given = ClientCarrier(client, owned=False)
        return lambda: given
    return lambda: ClientCarrier(client(), owned=True)


@frozen(eq=False)
class Carriers:
    """See the module's text.

    Args:
        make: makes the carrier of a loop.
        shared: `make` returns the same one each time, which belongs to the loop that called `settle`.
    """

    _make: Callable[[], Carrier]
    _shared: bool = field(alias="shared")
    _guards: dict[AbstractEventLoop, _Guarded] = field(factory=dict[AbstractEventLoop, "_Guarded"], init=False)
    _home: list[AbstractEventLoop] = field(factory=list[AbstractEventLoop], init=False)

    def settle(self) -> None:
        """Take the running loop for the one that a shared client belongs to."""
        self._home[:] = [asyncio.get_running_loop()]

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` on a loop on which `here` may be called."""
        if not self._shared or not self._home or self._home[0] is asyncio.get_running_loop():
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._home[0]))

    async def here(self) -> Carrier:
        """Return the carrier of the running loop."""
        loop = asyncio.get_running_loop()
        known = self._guards.get(loop)
        if known is not None:
            return known[0]
        carrier = self._make()
        guard = self._close_at_the_end(loop, carrier)
        self._guards[loop] = (carrier, guard)
        await anext(guard)
        return carrier

    async def close(self) -> None:
        """Close what belongs to the running loop."""
        known = self._guards.get(asyncio.get_running_loop())
        if known is not None:
            await known[1].aclose()

    async def _close_at_the_end(self, loop: AbstractEventLoop, carrier: Carrier) -> AsyncGenerator[None, None]:
        """Close a carrier when this generator is closed: a loop that is shut down closes those that began on it."""
        try:
            yield
        finally:
            self._guards.pop(loop, None)
            await carrier.close()
