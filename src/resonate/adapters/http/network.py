"""The network port over HTTP.

Law 1: one attempt is one HTTP request, and ends in bounded time whatever the server does.
Law 2: what comes back is read up to a limit.
Law 3: errors of the libraries below become ours at this border; no credential is in their text.
Law 4: the stream of messages comes back by itself, after delays that grow while it does not last, and says so.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import AbstractEventLoop
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx
from attrs import field, frozen

from resonate.adapters.http.carrier import Carrier, Limits
from resonate.adapters.http.carriers import Carriers
from resonate.adapters.http.connection import TooLong
from resonate.adapters.http.events import CONTENT_TYPE, events
from resonate.adapters.remote import Credentials
from resonate.core.backoff import full_jitter_ms
from resonate.core.protocol import addresses
from resonate.errors import AuthError, NetworkError, ReplyTooLong, ServerError, StoreError, UsageError
from resonate.logs import Log
from resonate.ports.clock import Clock
from resonate.ports.network import Answer
from resonate.ports.store import Notice, Reconnected

log = Log("resonate.http")

_WAITING: Final = 1_000
"""Messages that may wait to be read; beyond that the stream is not read on, and the server has to keep them."""
_LASTS_MS: Final = 5_000
"""A stream that has lasted so long has come back; one that ends sooner is waited for longer each time."""
_LONGEST_ERROR: Final = 200


@frozen
class Place:
    """Where a server is, without the credentials that its URL may hold."""

    url: str
    basic: str | None = field(default=None, repr=False)

    @staticmethod
    def of(url: str) -> Place:
        """Read a URL. Raise `UsageError` for one that leads to no HTTP server."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
            raise UsageError(
                "The address of a server is http://host:port or https://host:port, with nothing after its path.",
                hint="Credentials go into the argument token=, or RESONATE_TOKEN.",
            )
        host = f"[{host}]" if ":" in host else host
        netloc = host if port is None else f"{host}:{port}"
        basic: str | None = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            basic = f"Basic {b64encode(pair.encode()).decode()}"
        return Place(urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")), basic)


@frozen
class _End:
    """Nothing more comes."""

    error: StoreError | None = None


_Item: TypeAlias = bytes | Notice | _End


class HttpNetwork:
    """One process's way to a server over HTTP. Implements `resonate.ports.network.Network`."""

    def __init__(
        self,
        place: Place,
        carriers: Carriers,
        credentials: Credentials,
        *,
        group: str,
        pid: str,
        clock: Clock,
        limits: Limits,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._place = place
        self._carriers = carriers
        self._credentials = credentials
        self._group = group
        self._pid = pid
        self._clock = clock
        self._limits = limits
        self._draw = draw
        self._poll_url = httpx.URL(f"{place.url}/poll/{quote(group, safe='')}/{quote(pid, safe='')}")
        self._items: asyncio.Queue[_Item] = asyncio.Queue(_WAITING)
        self._reader: asyncio.Task[None] | None = None
        self._home: AbstractEventLoop | None = None
        credentials.on_refusal(self._refused)

    @property
    def name(self) -> str:
        """The server's URL, without credentials."""
        return self._place.url

    @property
    def unicast(self) -> str:
        """The address that reaches exactly this connection."""
        return addresses.unicast(self._group, self._pid)

    def anycast(self, group: str | None = None) -> str:
        """Return the address of any member of `group`, this connection's own when None."""
        return addresses.anycast(self._group if group is None else group)

    def prefer(self) -> str:
        """Return the address of any member of this group, this connection while it is connected."""
        return addresses.preferring(self._group, self._pid)

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Open the stream of messages. Raise `StoreError` if that can't be done now."""
        if self._reader is not None:
            return
        self._carriers.settle()
        stream = await self._open_stream()
        self._items = asyncio.Queue(_WAITING)
        self._home = asyncio.get_running_loop()
        self._reader = self._home.create_task(self._read_on(stream), name="resonate-stream")
        await asyncio.sleep(0)  # it has begun: from here on it closes the stream, whenever it is canceled

    async def leave(self) -> None:
        """Close the stream: the server has us for a member as long as it is open."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
            self._end(_End())

    async def stop(self) -> None:
        """Close the stream and this loop's connections."""
        await self.leave()
        await self._carriers.close()

    def _end(self, end: _End) -> None:
        """Let the messages end, without those that nobody has read."""
        while not self._items.empty():
            self._items.get_nowait()
        self._items.put_nowait(end)

    def _refused(self, error: AuthError) -> None:
        """End the messages with an error: the server refuses us, whichever request it was that it said so to."""
        if self._home is not None:
            with suppress(RuntimeError):  # its loop was closed: nobody reads any more
                self._home.call_soon_threadsafe(self._end_for_good, error)

    def _end_for_good(self, error: AuthError) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._end(_End(error))

    # ------------------------------------------------------------ requests

    def exchange(self, envelope: bytes, token: str | None) -> Coroutine[Any, Any, Answer]:
        """Post an envelope. Raise `NetworkError`, or `ReplyTooLong`."""
        carrier = self._carriers.known()
        if carrier is None:
            return self._carriers.run(lambda: self._exchange(envelope, token))
        return self._exchange_by(carrier, envelope, token)

    async def _exchange(self, envelope: bytes, token: str | None) -> Answer:
        return await self._exchange_by(await self._carriers.here(), envelope, token)

    async def _exchange_by(self, carrier: Carrier, envelope: bytes, token: str | None) -> Answer:
        try:
            posted = await carrier.post(envelope, self._authorization(token))
        except TooLong:
            raise ReplyTooLong(
                f"The server {self.name} sent a reply of more than {self._limits.reply_bytes} bytes.",
                hint="Keep less in one execution, or raise the limit reply_bytes.",
            ) from None
        except Exception as error:
            raise self._ours("asked", error) from error
        wish = self._wish(posted.wish) if posted.wish else None
        return Answer(body=posted.body, status=posted.status, retry_after_ms=wish)

    def _authorization(self, token: str | None) -> str | None:
        return self._place.basic if token is None else f"Bearer {token}"

    def _wish(self, retry_after: str) -> int | None:
        """Read how long the server asks to be left alone: seconds, or until an instant."""
        if retry_after.isascii() and retry_after.isdecimal():
            return int(retry_after[:9]) * 1000
        try:
            return max(0, round(parsedate_to_datetime(retry_after).timestamp() * 1000) - self._clock.now())
        except (ValueError, OverflowError):
            return None

    def _ours(self, done: str, error: Exception) -> StoreError:
        """Return our error for what was raised below, where a user's client may raise anything."""
        if isinstance(error, StoreError):
            return error
        found = _what_it_was(error)
        if isinstance(found, TimeoutError | httpx.TimeoutException):
            return NetworkError(f"The server {self.name} was {done} and did not answer in time.", hint=_HINT)
        why = f"{type(found).__name__}: {str(found)[:_LONGEST_ERROR]}".rstrip(": ")
        return NetworkError(f"The server {self.name} could not be {done}: {why}.", hint=_HINT)

    # ------------------------------------------------------------ messages

    async def messages(self) -> AsyncIterator[bytes | Notice]:
        """Yield what comes, until `stop`. Raise `AuthError`."""
        items = self._items
        while True:
            item = await items.get()
            if not isinstance(item, _End):
                yield item
                continue
            items.put_nowait(item)  # for the next who asks
            if item.error is not None:
                raise item.error
            return

    async def _open_stream(self) -> httpx.Response:
        """Open the stream, with another token if it was refused. Raise `StoreError`."""
        token = await self._credentials.current()
        response = await self._ask_for_stream(token)
        if response.status_code == 401:
            await response.aclose()
            response = await self._ask_for_stream(await self._credentials.renew(token))
        if response.status_code == 200 and CONTENT_TYPE in response.headers.get("content-type", ""):
            return response
        await response.aclose()
        if response.status_code in {401, 403}:
            raise self._credentials.refuse()
        error = ServerError(
            f"The server {self.name} was asked for messages and answered HTTP {response.status_code} without a stream.",
            hint="Look at the server's log, and that the address is that of a Resonate server.",
        )
        error.retry_after_ms = self._wish(response.headers.get("retry-after", ""))
        raise error

    async def _ask_for_stream(self, token: str | None) -> httpx.Response:
        try:
            async with asyncio.timeout(self._limits.timeout):
                carrier = await self._carriers.here()
                return await carrier.stream(self._poll_url, self._authorization(token))
        except Exception as error:
            raise self._ours("asked for messages", error) from error

    async def _read_on(self, stream: httpx.Response) -> None:
        """Read the stream, and the next when it ends."""
        failures = 0
        try:
            while True:
                since = self._clock.now()
                await self._read(stream)
                failures = 0 if self._clock.now() - since >= _LASTS_MS else failures + 1
                stream = await self._reopen(failures)
                await self._items.put(Reconnected())
        except StoreError as error:  # refused for good
            await self._items.put(_End(error))
        except Exception as error:
            log.exception("The stream of messages from %s ended, and does not come back.", self.name)
            what = f"The stream of messages from {self.name} ended by {type(error).__name__}."
            await self._items.put(_End(StoreError(what, hint="Look at the log, then open the client again.")))

    async def _read(self, stream: httpx.Response) -> None:
        try:
            try:
                async for item in events(stream, self._limits.message_bytes):
                    await self._items.put(item)
            finally:
                await stream.aclose()
        except Exception as error:  # noqa: BLE001 - whatever the user's client raises
            log.info("The stream of messages from %s broke: %s.", self.name, type(error).__name__)

    async def _reopen(self, failures: int) -> httpx.Response:
        wish: int | None = None
        said = False
        while True:
            if failures:
                delay = full_jitter_ms(failures, self._draw(), wish)
                await self._clock.sleep_until(self._clock.now() + delay)
            try:
                stream = await self._open_stream()
            except StoreError as error:
                if not error.retriable:
                    raise
                if not said:
                    said = True
                    log.warning("No messages from %s for now: %s", self.name, error)
                failures += 1
                wish = error.retry_after_ms
            else:
                log.info("Messages from %s come again.", self.name)
                return stream


def _what_it_was(error: Exception) -> BaseException:
    """Return what has happened: some transports tell every connection that failed as one that took too long."""
    cause = error.__cause__
    failed = isinstance(error, httpx.ConnectTimeout) and isinstance(cause, OSError)
    return cause if failed and cause is not None and not isinstance(cause, TimeoutError) else error


_HINT: Final = "Look whether the server runs and can be reached from here."
