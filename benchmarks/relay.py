"""A relay between a client and a server that counts what passes: requests, and bytes both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from attrs import define

_CHUNK = 1 << 16


@define
class Passed:
    """What has passed so far, messages and headers included."""

    requests: int = 0
    bytes: int = 0


@asynccontextmanager
async def relay(url: str) -> AsyncGenerator[tuple[str, Passed]]:
    """Stand before the server at `url`; yield the address to use instead, and the counts."""
    there, passed = urlsplit(url), Passed()
    open_ends: list[asyncio.StreamWriter] = []
    serving: list[asyncio.Task[None] | None] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, requests: bool) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK):
                passed.bytes += len(chunk)
                if requests:
                    passed.requests += chunk.count(b"POST / HTTP/1.1\r\n")
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection(there.hostname, there.port)
        open_ends.extend((writer, upstream[1]))
        serving.append(asyncio.current_task())
        await asyncio.gather(pump(reader, upstream[1], requests=True), pump(upstream[0], writer, requests=False))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", passed
    finally:
        server.close()
        for end in open_ends:
            end.close()
        await asyncio.gather(*filter(None, serving), return_exceptions=True)
