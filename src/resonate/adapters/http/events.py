"""Server-sent events as bytes.

Law 1: memory is bounded: an event longer than the limit ends the stream, and says so.
Law 2: an event that was cut off is dropped, and is said to have been.
Law 3: the bytes of an event are what the server sent. The text in between is Latin-1, which loses nothing; that it is
    valid UTF-8 is for who reads the message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import httpx
from attrs import define
from httpx_sse import EventSource

from resonate.ports.store import Dropped

CONTENT_TYPE: Final = "text/event-stream"
_BLANKS: Final = (b"\n\n", b"\r\r", b"\r\n\r\n")
_LOSSLESS: Final = {"content-type": f"{CONTENT_TYPE}; charset=latin-1"}


async def events(response: httpx.Response, limit: int) -> AsyncIterator[bytes | Dropped]:
    """Yield the data of each event of a response, until it ends or an event is longer than `limit`."""
    watched = _Watched(response, limit)
    source = EventSource(httpx.Response(200, headers=_LOSSLESS, stream=watched))
    async for event in source.aiter_sse():
        if event.data:
            yield event.data.encode("latin-1")
    if watched.too_long:
        yield Dropped(f"an event has more than {limit} bytes")
    elif watched.since_event:
        yield Dropped("the stream ended within an event")


@define
class _Watched(httpx.AsyncByteStream):
    """The bytes of a response, with a count of those that came since the last blank line."""

    _response: httpx.Response
    _limit: int
    since_event: int = 0
    too_long: bool = False
    _tail: bytes = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_bytes():
            self._count(chunk)
            if self.since_event > self._limit:
                self.too_long = True
                return
            yield chunk

    def _count(self, chunk: bytes) -> None:
        text = self._tail + chunk
        self._tail = text[-3:]
        end = max(text.rfind(blank) + len(blank) if blank in text else 0 for blank in _BLANKS)
        self.since_event = len(text) - end if end > 0 else self.since_event + len(chunk)
