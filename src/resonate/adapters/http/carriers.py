"""Who carries HTTP requests: a carrier for each event loop that asks.

Law 1: connections belong to the loop that opened them, and are closed on it: at `close`, or when the loop ends.
Law 2: a client that was given as it is belongs to one loop; requests of other loops are handed over to that one.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx
from attrs import field, frozen

from resonate.adapters.http.carrier import Carrier, ClientCarrier, LeanCarrier, Limits
from resonate.adapters.http.pool import Pool, Route
from resonate.errors import UsageError

T = TypeVar("T")

_Guarded: TypeAlias = "tuple[Carrier, AsyncGenerator[None, None]]"
"""A carrier, and the generator that closes it when it is closed."""


def default_carrier(url: httpx.URL, limits: Limits, connections: int) -> Callable[[], Carrier]:
    """Return a maker of carriers to `url`: lean ones, unless the environment names a proxy for it."""
    if url.scheme in getproxies() and not proxy_bypass(url.host):
        most = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        return lambda: ClientCarrier(url, limits, httpx.AsyncClient(limits=most), owned=True)
    # Loading the certificates takes longer than a hundred requests: it is done once, and only where there are some.
    tls = httpx.create_ssl_context() if url.scheme == "https" else None
    route = Route(
        host=url.raw_host.decode("ascii"),
        port=url.port or (443 if tls else 80),
        tls=tls,
        connections=connections,
        connect=limits.connect,
        timeout=limits.timeout,
        reply_bytes=limits.reply_bytes,
    )
    streams = httpx.Limits(max_connections=2)  # one, and the one that is being closed
    return lambda: LeanCarrier(
        url, limits, Pool(route), httpx.AsyncHTTPTransport(verify=tls or False, limits=streams, trust_env=False)
    )


ClientOrMaker: TypeAlias = httpx.AsyncClient | Callable[[], httpx.AsyncClient]


def given_carrier(client: ClientOrMaker, url: httpx.URL, limits: Limits) -> Callable[[], Carrier]:
    """Return a maker of carriers that send by a user's client, or by clients that a user's function makes."""
    if isinstance(client, httpx.AsyncClient):
        given = ClientCarrier(url, limits, client, owned=False)
        return lambda: given
    return lambda: ClientCarrier(url, limits, client(), owned=True)


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
        working = work()
        try:
            future = asyncio.run_coroutine_threadsafe(working, self._home[0])
        except RuntimeError as error:
            working.close()
            raise UsageError(
                "The httpx client that was given belongs to an event loop that has ended.",
                hint="Open the store on the loop that lives longest, or give a function that makes a client.",
            ) from error
        return await asyncio.wrap_future(future)

    def known(self) -> Carrier | None:
        """Return the carrier that may be used here and now; None if `run` and `here` are needed."""
        loop = asyncio.get_running_loop()
        guarded = self._guards.get(loop)
        if guarded is None or (self._shared and self._home and self._home[0] is not loop):
            return None
        return guarded[0]

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
