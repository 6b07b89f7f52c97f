"""Exchanges over connections that are kept: how replies are told apart, and what becomes of connections."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from resonate.adapters.http.exchanges import BadReply, Exchanges, Origin, ReplyTooLong

REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"

WHOLE = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "nothing": (OK + b"content-length: 0\r\n\r\n", b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "chunks": (OK + b"transfer-encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello", True),
    "chunks with trailers": (
        OK + b"transfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nx: 1\r\ny: 2\r\n\r\n",
        b"hello",
        True,
    ),
    "one on its way before": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello",
        b"hello",
        True,
    ),
    "no phrase": (b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello", b"hello", True),
    "the last one": (OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello", b"hello", False),
    "an older one": (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello", False),
    "an older one that stays": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
        b"hello",
        True,
    ),
}
BROKEN = {
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "a length below nothing": OK + b"content-length: -5\r\n\r\n",
    "a length that is none": OK + b"content-length: 5, 5\r\n\r\nhello",
    "a chunk below nothing": OK + b"transfer-encoding: chunked\r\n\r\n-1\r\n",
    "a chunk without an end": OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhello\r\n",
    "a chunk's length without an end": OK + b"transfer-encoding: chunked\r\n\r\n" + b"0" * 70_000,
    "trailers without an end": OK + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"y" * 70_000,
    "a header that is none": OK + b"hello\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "no status": b"HTTP/1.1 2OO OK\r\n\r\n",
}


class Server:
    """Answers each request by the next of the given bytes; None closes the connection without a word."""

    def __init__(self, *answers: bytes | None, pieces: int = 1 << 20) -> None:
        self.answers = list(answers)
        self.pieces = pieces
        self.connections = 0
        self.requests = 0
        self.open = 0
        self.most = 0
        self.go = asyncio.Event()
        self.go.set()

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                answer = self.answers.pop(0)
                await self.go.wait()
                if answer is None:
                    break
                for start in range(0, len(answer), self.pieces):
                    writer.write(answer[start : start + self.pieces])
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.open -= 1
        writer.close()


@asynccontextmanager
async def pool(server: Server, limit: int = 10):
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    exchanges = Exchanges(Origin(host="127.0.0.1", port=listening.sockets[0].getsockname()[1]), limit)
    async with asyncio.timeout(10):
        yield exchanges
    exchanges.close()
    listening.close()
    await asyncio.sleep(0.01)


def ask(exchanges: Exchanges, limit: int = 1_000):
    return exchanges.ask(REQUEST, 1.0, limit)


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", WHOLE)
async def test_a_reply_is_read_to_its_end_however_it_comes(name, pieces):
    answer, body, kept = WHOLE[name]
    server = Server(answer, answer, pieces=pieces)
    async with pool(server) as exchanges:
        replies = [await ask(exchanges), await ask(exchanges)]
    assert [reply.body for reply in replies] == [body, body]
    assert server.connections == (1 if kept else 2)


async def test_a_reply_without_a_length_ends_with_its_connection():
    server = Server(OK + b"\r\nhello", None)
    async with pool(server) as exchanges:
        asked = asyncio.ensure_future(ask(exchanges))
        while not server.requests:  # noqa: ASYNC110 - a server has no event for it
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert not asked.done()
        asked.cancel()
    closing = Server(OK + b"\r\nhello")

    async def once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(closing.answers[0])
        writer.close()

    closing.serve = once
    async with pool(closing) as exchanges:
        assert (await ask(exchanges)).body == b"hello"


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_reply_is_told_and_its_connection_is_not_used_again(name):
    server = Server(BROKEN[name], WHOLE["a length"][0])
    async with pool(server) as exchanges:
        with pytest.raises(BadReply):
            await ask(exchanges, 1 << 20)
        assert (await ask(exchanges)).body == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize("name", ["a length", "chunks"])
async def test_a_reply_that_is_too_long_is_not_read(name):
    server = Server(WHOLE[name][0], WHOLE["nothing"][0])
    async with pool(server) as exchanges:
        with pytest.raises(ReplyTooLong):
            await ask(exchanges, 4)
        assert (await ask(exchanges)).body == b""
    assert server.connections == 2


async def test_a_reply_that_says_it_is_too_long_is_not_waited_for():
    async with pool(Server(OK + b"content-length: 1000000\r\n\r\n")) as exchanges:
        with pytest.raises(ReplyTooLong):
            await ask(exchanges)


async def test_a_request_that_a_kept_connection_did_not_carry_is_sent_once_more():
    hello = WHOLE["a length"][0]
    server = Server(hello, None, hello)
    async with pool(server) as exchanges:
        assert [(await ask(exchanges)).body, (await ask(exchanges)).body] == [b"hello", b"hello"]
    assert (server.connections, server.requests) == (2, 3)


async def test_a_request_that_a_new_connection_did_not_carry_is_not():
    server = Server(None, None)
    async with pool(server) as exchanges:
        with pytest.raises(BadReply, match="without a reply"):
            await ask(exchanges)
    assert server.requests == 1


async def test_a_connection_whose_caller_has_left_is_closed():
    hello = WHOLE["a length"][0]
    server = Server(hello, hello)
    server.go.clear()
    async with pool(server) as exchanges:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(exchanges), 0.05)
        server.go.set()
        assert (await ask(exchanges)).body == b"hello"
    assert server.connections == 2


async def test_there_are_no_more_connections_than_the_limit_and_all_are_answered():
    server = Server(*[WHOLE["a length"][0]] * 50)
    async with pool(server, limit=4) as exchanges:
        replies = await asyncio.gather(*[ask(exchanges) for _ in range(50)])
    assert len(replies) == 50
    assert server.connections == server.most == 4


async def test_what_nobody_asked_for_closes_the_connection():
    hello = WHOLE["a length"][0]
    server = Server(hello + b"HTTP/1.1 200 OK\r\n", hello)
    async with pool(server) as exchanges:
        assert (await ask(exchanges)).body == b"hello"
        assert (await ask(exchanges)).body == b"hello"
    assert server.connections == 2


async def test_where_nobody_listens_is_an_os_error():
    async with pool(Server()) as exchanges:
        pass
    with pytest.raises(OSError, match="Connect"):
        await ask(exchanges)
