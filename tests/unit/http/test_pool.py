"""The connections that requests go over by default, against a server that says what it is told, byte for byte."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from attrs import define, field
from httptools import HttpParserError, HttpParserUpgrade
from hypothesis import given, settings
from hypothesis import strategies as st

from resonate.adapters.http.carrier import LeanCarrier, Limits
from resonate.adapters.http.connection import Reply, TooLong
from resonate.adapters.http.pool import Pool, Route
from tests.unit.http.wild import until

Answers = Callable[["Peer", bytes], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


@define(eq=False)
class Peer:
    """One connection, as the server has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: list[bytes] = field(factory=list)
    gone: bool = False
    head: bytes = b""

    async def next(self) -> bytes:
        """Read a request; return its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await self.reader.readexactly(int(length[15:]))
        self.asked.append(body)
        self.head = head
        return body

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()


@define(eq=False)
class Server:
    """Says what it is told, on loopback."""

    answers: Answers
    tls: ssl.SSLContext | None = None
    peers: list[Peer] = field(factory=list)
    _serving: list[asyncio.Task] = field(factory=list)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self._serving.append(asyncio.current_task())
        try:
            while True:
                await self.answers(peer, await peer.next())
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            peer.gone = True
            writer.close()

    @asynccontextmanager
    async def up(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await a_few_turns()  # who was let in last is being served by then
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            for peer in self.peers:
                peer.writer.transport.abort()
            await a_few_turns()  # by which their sockets are closed


async def a_few_turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def route(port: int, **changed) -> Route:
    plain = {"connections": 4, "connect": 5, "timeout": 5, "reply_bytes": 1_000, "tls": None, "host": "127.0.0.1"}
    return Route(port=port, **{**plain, **changed})


@asynccontextmanager
async def pool_to(answers: Answers, **changed) -> AsyncIterator[tuple[Pool, Server]]:
    server = Server(answers)
    async with server.up() as port:
        pool = Pool(route(port, **changed))
        try:
            yield pool, server
        finally:
            await pool.close()
        assert not pool._open


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def echo(peer: Peer, body: bytes) -> None:
    await peer.say(reply(body))


async def bodies(pool: Pool, *asked: bytes) -> list[bytes]:
    return [one.body for one in await asyncio.gather(*(pool.ask(post(body)) for body in asked))]


# ---------------------------------------------------------------- which connection


async def test_a_connection_is_kept_and_used_again():
    async with pool_to(echo) as (pool, server):
        for number in range(20):
            assert await bodies(pool, b"%d" % number) == [b"%d" % number]
        assert len(server.peers) == 1


async def test_many_at_once_share_a_bounded_number_and_each_has_its_own_reply():
    async def slow(peer, body):
        await asyncio.sleep(0)
        await peer.say(reply(body))

    async with pool_to(slow) as (pool, server):
        asked = [b"%d" % number for number in range(100)]
        assert await bodies(pool, *asked) == asked
        assert len(server.peers) == 4


async def test_what_waits_is_asked_in_its_order():
    async with pool_to(echo, connections=1) as (pool, server):
        asked = [b"%d" % number for number in range(30)]
        await bodies(pool, *asked)
        assert server.peers[0].asked == asked


async def test_a_connection_that_the_server_wants_closed_is_not_used_again():
    async def closes(peer, body):
        await peer.say(reply(body, b"connection: close"))

    async with pool_to(closes) as (pool, server):
        assert [await bodies(pool, b"a"), await bodies(pool, b"b")] == [[b"a"], [b"b"]]
        assert len(server.peers) == 2


async def test_a_connection_that_was_closed_while_idle_is_not_noticed_by_who_asks():
    async with pool_to(echo) as (pool, server):
        await bodies(pool, b"a")
        server.peers[0].writer.close()
        await until(lambda: not pool._open)
        assert await bodies(pool, b"b") == [b"b"]


async def test_a_connection_that_is_being_closed_is_not_used():
    async with pool_to(echo) as (pool, server):
        await bodies(pool, b"a")
        pool._idle[0].abort()  # as when the server's end has come, and the event loop has yet to say so
        assert (await pool.ask(post(b"b"))).body == b"b"
        assert len(server.peers) == 2


async def test_a_connection_that_nobody_uses_is_closed():
    async with pool_to(echo, idle=0.05) as (pool, server):
        await bodies(pool, b"a", b"b", b"c")
        await until(lambda: all(peer.gone for peer in server.peers))
        assert await bodies(pool, b"d") == [b"d"]


async def test_closing_closes_each_connection_and_fails_what_is_under_way():
    async def never(_peer, _body):
        await asyncio.get_running_loop().create_future()

    async with pool_to(never, connections=2) as (pool, server):
        asking = [asyncio.ensure_future(pool.ask(post(b"x"))) for _ in range(5)]
        await until(lambda: sum(len(peer.asked) for peer in server.peers) == 2)
        await pool.close()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(one) for one in found} == {ConnectionAbortedError}


async def test_where_nobody_listens_each_who_waits_is_told():
    async with Server(echo).up() as port:
        pass
    pool = Pool(route(port, connections=2))
    found = await asyncio.gather(*(pool.ask(post(b"x")) for _ in range(10)), return_exceptions=True)
    assert all(isinstance(one, ConnectionError) for one in found)
    await pool.close()


@pytest.mark.parametrize("eager", [False, True])
async def test_a_name_is_looked_up(eager):
    if eager and hasattr(asyncio, "eager_task_factory"):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    async with pool_to(echo, host="localhost") as (pool, _server):
        assert await bodies(pool, *[b"a"] * 10) == [b"a"] * 10


async def test_a_name_that_leads_nowhere_is_an_error():
    pool = Pool(route(1, host="nowhere.invalid"))
    with pytest.raises(OSError, match=r".+"):
        await pool.ask(post(b"x"))
    await pool.close()


# ---------------------------------------------------------------- forms of a reply

FORMS = {
    "with a length": OK,
    "in chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;a=1\r\nk\r\n0\r\nlast: 1\r\n\r\n",
    "after others": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
    "HTTP/1.0, kept": b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
}
UNTIL_CLOSED = {
    "until it closes": b"HTTP/1.1 200 OK\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\nok",
    "length, and closes": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("piece", [1, 3, 1_000])
@pytest.mark.parametrize("form", [*FORMS, *UNTIL_CLOSED])
async def test_each_form_of_a_reply_is_read_in_any_pieces(form, piece):
    said = {**FORMS, **UNTIL_CLOSED}[form]

    async def answers(peer, _body):
        for at in range(0, len(said), piece):
            await peer.say(said[at : at + piece])
            await asyncio.sleep(0)
        if form in UNTIL_CLOSED:
            peer.writer.close()

    async with pool_to(answers) as (pool, server):
        for _ in range(2):
            found = await pool.ask(post(b"x"))
            assert (found.status, found.body) == (200, b"ok")
        assert len(server.peers) == (2 if form in UNTIL_CLOSED else 1)


@pytest.mark.parametrize("status", [204, 302, 304, 404, 503])
async def test_a_status_is_told_and_no_redirect_followed(status):
    async def answers(peer, _body):
        empty = status in {204, 304}
        line = b"HTTP/1.1 %d X\r\nlocation: http://127.0.0.1:1/\r\n" % status
        await peer.say(line + (b"\r\n" if empty else b"content-length: 0\r\n\r\n"))

    async with pool_to(answers) as (pool, server):
        assert (await pool.ask(post(b"x"))).status == status
        assert (await pool.ask(post(b"x"))).body == b""
        assert len(server.peers) == 1


async def test_an_answer_before_all_was_read_counts_and_ends_the_connection():
    async def refuses(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(b"large", status=b"413 Too Large"))
        await writer.drain()
        await reader.read(2**16)
        closing.append(writer)

    closing = []
    server = await asyncio.start_server(refuses, "127.0.0.1", 0)
    pool = Pool(route(server.sockets[0].getsockname()[1], idle=60))
    found = await pool.ask(post(b"x" * 2**24))
    assert (found.status, found.body) == (413, b"large")
    async with asyncio.timeout(60):
        await until(lambda: not pool._open)
    await pool.close()
    server.close()
    await until(lambda: bool(closing))
    closing[0].transport.abort()


# ---------------------------------------------------------------- what is no reply


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "again", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n", b"x" * 100, TooLong),
        (CHUNKED, b"100\r\n" + b"x" * 256 + b"\r\n", TooLong),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", ConnectionError),
        (b"HTTP/1.1 200 OK\r\na: ", b"b" * 100, ConnectionError),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", ConnectionError),
        (CHUNKED, b"1;" + b"x" * 10_000 + b"\r\nx\r\n", ConnectionError),
        (CHUNKED + b"0\r\n", b"a: b\r\n", ConnectionError),
    ],
    ids=["body", "chunks", "headers", "a header", "others", "chunk extensions", "trailers"],
)
async def test_what_has_no_end_is_not_read_to_its_end(first, again, expected):
    async def answers(peer, _body):
        await peer.say(first)
        while True:
            await peer.say(again * 100)

    async with pool_to(answers) as (pool, _server), asyncio.timeout(60):
        with pytest.raises(expected):
            await pool.ask(post(b"x"))


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        b"HTTP/3.7 200 OK\r\n\r\n",
        b"\x00" * 100,
    ],
)
async def test_what_is_ambiguous_or_no_http_is_an_error_and_not_a_reply(said):
    async def answers(peer, _body):
        await peer.say(said)
        await peer.reader.read()

    async with pool_to(answers) as (pool, _server):
        with pytest.raises((HttpParserError, HttpParserUpgrade)):
            await pool.ask(post(b"x"))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
        CHUNKED + b"2\r\nok\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_what_was_cut_off_is_no_reply(said):
    async def answers(peer, _body):
        await peer.say(said)
        peer.writer.close()

    async with pool_to(answers) as (pool, _server):
        with pytest.raises(ConnectionResetError):
            await pool.ask(post(b"x"))


async def test_what_nobody_asked_for_is_never_taken_for_a_reply():
    async def twice(peer, body):
        await peer.say(reply(body) + reply(b"forged"))

    async with pool_to(twice, connections=1) as (pool, server):
        assert await bodies(pool, b"a", b"b", b"c") == [b"a", b"b", b"c"]
        assert len(server.peers) == 3


async def test_what_comes_over_an_idle_connection_closes_it():
    async with pool_to(echo, connections=1) as (pool, server):
        await bodies(pool, b"a")
        await server.peers[0].say(reply(b"forged"))
        await until(lambda: not pool._open)
        assert await bodies(pool, b"b") == [b"b"]


CUT = st.lists(st.integers(0, 200), max_size=6)
NOISE = st.binary(max_size=12) | st.sampled_from(
    [b"\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"content-length: 9\r\n"]
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*FORMS.values(), *UNTIL_CLOSED.values()]), CUT, NOISE, st.integers(0, 200))
def test_whatever_is_said_ends_with_a_reply_or_an_error(said, cuts, noise, at):
    said = said[:at] + noise + said[at:]
    marks = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})

    async def answers(peer, _body):
        for begin, end in pairwise(marks):
            await peer.say(said[begin:end])
            await asyncio.sleep(0)
        peer.writer.close()

    async def run():
        async with pool_to(answers) as (pool, _server):
            for _ in range(2):
                (found,) = await asyncio.gather(pool.ask(post(b"x")), return_exceptions=True)
                if isinstance(found, Reply):
                    assert 200 <= found.status < 1000
                else:
                    assert isinstance(found, ConnectionError | HttpParserError | HttpParserUpgrade | TooLong)
            assert not pool._asked

    asyncio.run(run())


# ---------------------------------------------------------------- time


async def test_a_request_that_is_not_answered_ends_in_time_and_the_next_goes_on():
    async def first_never(peer, body):
        if body != b"never":
            await peer.say(reply(body))

    async with pool_to(first_never, connections=1, timeout=0.1) as (pool, server):
        first, second = await asyncio.gather(*(pool.ask(post(b)) for b in (b"never", b"waits")), return_exceptions=True)
        assert isinstance(first, TimeoutError)
        assert isinstance(second, TimeoutError)  # the wait for a connection is part of it
        for _ in range(100):  # on a machine that does much else, it may run out of time, too
            with suppress(TimeoutError):
                assert await bodies(pool, b"c") == [b"c"]
                break
        else:
            pytest.fail("the next does not go on")
        assert len(server.peers) >= 2
        assert not any(b"waits" in peer.asked for peer in server.peers)


async def test_a_request_that_is_canceled_leaves_its_connection_to_nobody():
    held = asyncio.Event()

    async def late(peer, body):
        if body == b"a":
            await held.wait()
        await peer.say(reply(body))

    async with pool_to(late, connections=1) as (pool, server):
        first = asyncio.ensure_future(pool.ask(post(b"a")))
        await until(lambda: bool(server.peers) and server.peers[0].asked == [b"a"])
        waiting = asyncio.ensure_future(pool.ask(post(b"w")))
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()
        held.set()
        assert await bodies(pool, b"b", b"c") == [b"b", b"c"]
        assert [peer.asked for peer in server.peers] == [[b"a"], [b"b", b"c"]]


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A file with a key and a certificate of 127.0.0.1 that it signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(
        key.private_bytes(pem, form, serialization.NoEncryption()) + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_tls_is_used_and_closed(certificate):
    server = Server(echo, serving(certificate))
    async with server.up() as port:
        pool = Pool(route(port, tls=ssl.create_default_context(cafile=certificate)))
        assert await bodies(pool, *[b"a"] * 20) == [b"a"] * 20
        assert len(server.peers) <= 4
        await pool.close()
        assert not pool._open


async def test_a_certificate_that_is_not_trusted_is_refused(certificate):
    async with Server(echo, serving(certificate)).up() as port:
        pool = Pool(route(port, tls=ssl.create_default_context()))
        with pytest.raises(ssl.SSLCertVerificationError):
            await pool.ask(post(b"x"))
        await pool.close()


# ---------------------------------------------------------------- what is sent, and what was packed


async def carried(answers: Answers, *asked: tuple[bytes, str | None], url: str = "", **limits):
    """Post by a carrier; return what was found, and the heads of the requests."""
    server = Server(answers)
    heads = []

    async def noted(peer, body):
        heads.append(peer.head)
        await answers(peer, body)

    server.answers = noted
    async with server.up() as port:
        bounds = Limits(**limits)
        pool = Pool(route(port, reply_bytes=bounds.reply_bytes))
        carrier = LeanCarrier(httpx.URL(url or "http://host/"), bounds, pool, httpx.MockTransport(lambda _: None))
        try:
            found = [await carrier.post(*one) for one in asked]
        finally:
            await carrier.close()
    return found, heads


async def test_a_request_says_where_it_goes_and_who_asks():
    found, heads = await carried(echo, (b"{}", None), (b"{}", "Bearer a"), (b"{}", "Bearer b"), url="http://h:81/a b/")
    assert [(one.status, one.body) for one in found] == [(200, b"{}")] * 3
    lines = [head.decode().split("\r\n") for head in heads]
    assert {(one[0], one[1]) for one in lines} == {("POST /a%20b/ HTTP/1.1", "host: h:81")}
    assert {"content-type: application/json", "accept-encoding: identity", "content-length: 2"} <= set(lines[0])
    asking = [[line for line in one if line.startswith("authorization")] for one in lines]
    assert asking == [[], ["authorization: Bearer a"], ["authorization: Bearer b"]]


async def test_a_wish_to_be_left_alone_is_told():
    async def busy(peer, _body):
        await peer.say(reply(b"", b"Retry-After: 7", status=b"503 Busy"))

    found, _ = await carried(busy, (b"{}", None))
    assert (found[0].status, found[0].wish) == (503, "7")


async def test_what_was_packed_although_it_should_not_is_unpacked():
    async def packs(peer, body):
        await peer.say(reply(gzip.compress(body), b"Content-Encoding: gzip"))

    found, _ = await carried(packs, (b"some text", None))
    assert found[0].body == b"some text"


async def test_what_was_packed_is_bounded_when_unpacked():
    async def packs(peer, _body):
        await peer.say(reply(gzip.compress(b"x" * 2**24), b"content-encoding: gzip"))

    with pytest.raises(TooLong):
        await carried(packs, (b"{}", None), reply_bytes=2**20)
