"""What carries HTTP requests: one client for each event loop that asks.

Law 1: connections belong to the loop that opened them, and are closed on it: at `close`, or when the loop ends.
Law 2: a client that was given as it is belongs to one loop; requests of other loops are handed over to that one.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from attrs import field, frozen
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient

T = TypeVar("T")

Headers: TypeAlias = Mapping[str, str]
_Guarded: TypeAlias = "tuple[Carrier, AsyncGenerator[None, None]]"
"""A carrier, and the generator that closes it when it is closed."""


class Carrier(Protocol):
    """Carries requests of one event loop."""

    async def send(
        self, method: str, url: httpx.URL, headers: Headers, content: bytes | None, timeout: httpx.Timeout
    ) -> httpx.Response:
        """Send a request; return the response before its body is read. The caller closes it."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@frozen
class LeanCarrier:
    """Hands requests to a transport as they are: a third of the work of a client, which does nothing for us here."""

    _transport: httpx.AsyncBaseTransport

    async def send(
        self, method: str, url: httpx.URL, headers: Headers, content: bytes | None, timeout: httpx.Timeout
    ) -> httpx.Response:
        """See `Carrier`."""
        request = httpx.Request(method, url, headers=headers, content=content, extensions={"timeout": _phases(timeout)})
        response = await self._transport.handle_async_request(request)
        response.request = request
        return response

    async def close(self) -> None:
        """See `Carrier`."""
        await self._transport.aclose()


@frozen
class ClientCarrier:
    """Sends by a client with all that it was configured with."""

    _client: httpx.AsyncClient
    _owned: bool = field(alias="owned")

    async def send(
        self, method: str, url: httpx.URL, headers: Headers, content: bytes | None, timeout: httpx.Timeout
    ) -> httpx.Response:
        """See `Carrier`."""
        request = self._client.build_request(method, url, headers=headers, content=content, timeout=timeout)
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
    verify: ssl.SSLContext | bool = httpx.create_ssl_context() if parts.scheme == "https" else False
    return lambda: LeanCarrier(AiohttpTransport(verify=verify, limits=limits))


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
