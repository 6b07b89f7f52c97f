"""A Resonate server, by its URL."""

from __future__ import annotations

import os

import httpx

from resonate.adapters.clock import SystemClock
from resonate.adapters.http.carrier import Limits
from resonate.adapters.http.carriers import Carriers, ClientOrMaker, default_carrier, given_carrier
from resonate.adapters.http.network import HttpNetwork, Place
from resonate.adapters.remote import Credentials, RemoteStore
from resonate.core.durations import Duration, milliseconds
from resonate.core.protocol.dialect import Dialect
from resonate.errors import UsageError
from resonate.ports.clock import Clock
from resonate.ports.network import Token


class HttpBackend:
    """A Resonate server that is reached over HTTP. Implements `resonate.ports.store.Backend`.

    Args:
        url: `http://host:8001`, or `https://`. A user name and password in it are sent as Basic authorization.
        token: what the server is shown, as text or as a function that returns text and may be `async`: it is called
            again when the server refuses. RESONATE_TOKEN by default.
        client: an `httpx.AsyncClient`, or a function that makes one. A function is better: it is called once for each
            event loop, so that heartbeats have connections of their own; a single client carries them over the loop
            that the store was started on. By default, connections of this library's own are used, which cost the least.
        dialect: how the server speaks; it is asked if this is not said.
        clock: where time comes from.
        connections: how many connections there may be at once (not for a `client`, which has limits of its own).
        timeout: how long a request may take.
        connect_timeout: how long a connection may take.
        silence: how long the stream of messages may be silent until it is opened anew.
        patience: how long the start goes on trying to reach the server.
        reply_bytes: the longest reply that is read.
        message_bytes: the longest message that is read.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        client: ClientOrMaker | None = None,
        dialect: Dialect | None = None,
        clock: Clock | None = None,
        connections: int = 100,
        timeout: Duration = 30.0,
        connect_timeout: Duration = 5.0,
        silence: Duration = 120.0,
        patience: Duration = 10.0,
        reply_bytes: int = 64 * 2**20,
        message_bytes: int = 8 * 2**20,
    ) -> None:
        self._place = Place.of(url)
        self._token = token if token is not None else os.environ.get("RESONATE_TOKEN")
        self._client = client
        self._dialect = dialect
        self._clock = clock or SystemClock()
        self._connections = connections
        self._patience_ms = milliseconds(patience, "patience")
        self._limits = Limits(
            timeout=_seconds(timeout, "timeout"),
            connect=_seconds(connect_timeout, "connect_timeout"),
            silence=_seconds(silence, "silence"),
            reply_bytes=reply_bytes,
            message_bytes=message_bytes,
        )
        self._credentials()
        if self._token and self._place.basic is not None:
            raise UsageError("The server's URL holds a user name, and a token is given, too.", hint="Give one of them.")

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        return self._clock

    @property
    def url(self) -> str:
        """Where the server is, without credentials."""
        return self._place.url

    def __repr__(self) -> str:
        """Say where the server is; credentials are not shown."""
        return f"HttpBackend({self._place.url!r})"

    def _credentials(self) -> Credentials:
        return Credentials(self._token, self._place.url)

    def connect(self, *, group: str, pid: str) -> RemoteStore:
        """Return a store for member `pid` of `group`; it opens nothing until its `start`."""
        credentials = self._credentials()
        url = httpx.URL(f"{self._place.url}/")
        if self._client is None:
            carriers = Carriers(default_carrier(url, self._limits, self._connections), shared=False)
        else:
            made = given_carrier(self._client, url, self._limits)
            carriers = Carriers(made, shared=not callable(self._client))
        network = HttpNetwork(
            self._place, carriers, credentials, group=group, pid=pid, clock=self._clock, limits=self._limits
        )
        return RemoteStore(
            network,
            credentials,
            clock=self._clock,
            dialect=self._dialect,
            patience_ms=self._patience_ms,
            at_once=self._connections,
        )


def _seconds(duration: Duration, what: str) -> float:
    amount = milliseconds(duration, what)
    if amount < 1:
        raise UsageError(f"{what} is longer than nothing, not {duration!r}.")
    return amount / 1000
