"""The stream of messages: it comes back, loses nothing that matters, and takes nothing that is no message."""

from __future__ import annotations

import asyncio

import httpx
import orjson
import pytest

from resonate import Context, PromiseState, UsageError
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.records import Execute
from resonate.core.protocol.requests import PromiseCreate, PromiseGet, PromiseSettle
from resonate.core.protocol.wire import encode_message
from resonate.core.trace import MessageDropped
from resonate.errors import AuthError, ServerError, StoreError
from resonate.ports.store import Dropped, Reconnected
from resonate.testing import FrontTransport, HttpFront, VirtualClock
from tests.unit.http.wild import Body, Wild, stream

FIRST, SECOND = (b"data: " + encode_message(Execute(id, 1)) + b"\n\n" for id in ("a", "b"))


async def started(wild, **options):
    store = wild.backend(dialect=OURS, **options).connect(group="g", pid="p")
    await store.start()
    return store


async def heard(store, count):
    found = []
    async with asyncio.timeout(60):
        async for item in store.messages():
            found.append(item)
            if len(found) == count:
                break
    await store.stop()
    return found


async def test_a_stream_that_ends_comes_back_and_says_so(wild):
    wild.polls.extend([lambda _: stream(FIRST), lambda _: stream(SECOND, then="hang")])
    assert await heard(await started(wild), 3) == [Execute("a", 1), Reconnected(), Execute("b", 1)]


async def test_who_leaves_is_sent_no_more_messages_and_goes_on_asking(wild):
    store = await started(wild)
    assert "g" in wild.server.facts([]).groups
    for _ in range(2):
        await store.leave()
        while "g" in wild.server.facts([]).groups:  # noqa: ASYNC110 - until the server has read to the stream's end
            await asyncio.sleep(0)
        assert [message async for message in store.messages()] == []
        assert (await store.send(PromiseGet(id="p"))).status == 404
    await store.stop()
    await store.start()
    assert "g" in wild.server.facts([]).groups
    await store.stop()


@pytest.mark.parametrize("error", [httpx.ReadError("reset"), httpx.ReadTimeout("silence"), ConnectionResetError()])
async def test_a_stream_that_breaks_comes_back(wild, error):
    wild.polls.extend([lambda _: stream(FIRST, then=error), lambda _: stream(then="hang")])
    assert await heard(await started(wild), 2) == [Execute("a", 1), Reconnected()]


async def test_a_server_that_is_down_for_a_while_is_asked_ever_less(wild):
    wild.polls.extend([lambda _: stream(FIRST), *[lambda _: httpx.ConnectError("down")] * 40])
    store = await started(wild)
    begun = wild.clock.now()
    assert (await heard(store, 2))[1] == Reconnected()
    assert wild.clock.now() - begun > 60_000
    assert wild.streams == 42


async def test_a_stream_that_ends_at_once_each_time_is_asked_for_ever_less(wild):
    wild.always = lambda request: stream() if request.method == "GET" else None
    store = await started(wild)
    await wild.clock.advance(600_000)
    assert 60 < wild.streams < 250
    await store.stop()


async def test_the_delay_that_a_server_asks_for_is_kept(wild):
    busy = lambda _: httpx.Response(503, headers={"retry-after": "30"})
    wild.polls.extend([lambda _: stream(FIRST), busy, busy])
    store = await started(wild)
    begun = wild.clock.now()
    await heard(store, 2)
    assert wild.clock.now() - begun >= 60_000


BAD = {
    "no JSON": b"data: hello\n\n",
    "no object": b"data: [1]\n\n",
    "unknown kind": b'data: {"kind":"greeting","head":{},"data":{}}\n\n',
    "no task": b'data: {"kind":"execute","data":{}}\n\n',
    "a version that is no number": b'data: {"kind":"execute","data":{"task":{"id":"a","version":"1"}}}\n\n',
    "bytes that are no text": b'data: {"kind":"execute","data":{"task":{"id":"\xff\xfe","version":1}}}\n\n',
    "nested too deep": b"data: " + b"[" * 100_000 + b"\n\n",
    "half of another": b'data: {"kind":"exec\n\n',
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_message_is_dropped_and_said_to_be(wild, name):
    wild.polls.append(lambda _: stream(BAD[name] + FIRST, then="hang"))
    dropped, first = await heard(await started(wild), 2)
    assert isinstance(dropped, Dropped)
    assert len(dropped.reason) <= 200
    assert first == Execute("a", 1)


async def test_comments_and_events_without_data_are_no_messages(wild):
    noise = b": keep-alive\n\nevent: ping\n\nid: 7\n\nretry: 10\n\ndata:\n\n"
    wild.polls.append(lambda _: stream(noise, FIRST[:9], FIRST[9:], then="hang"))
    assert await heard(await started(wild), 1) == [Execute("a", 1)]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
async def test_lines_may_end_in_any_way_and_chunks_anywhere(wild, end):
    body = (FIRST.rstrip() + end) * 30
    chunks = [body[at : at + 7] for at in range(0, len(body), 7)]
    wild.polls.append(lambda _: stream(*chunks, b"data: x\n\n", then="hang"))
    found = await heard(await started(wild, message_bytes=200), 30)
    assert found == [Execute("a", 1)] * 30


async def test_text_beyond_ascii_arrives_as_it_was_sent(wild):
    message = b"data: " + encode_message(Execute("é\u2028中\x85", 1)) + b"\n\n"
    chunks = [message[at : at + 1] for at in range(len(message))]
    wild.polls.append(lambda _: stream(*chunks, then="hang"))
    assert await heard(await started(wild), 1) == [Execute("é\u2028中\x85", 1)]


async def test_an_event_that_is_too_long_ends_its_stream_and_is_dropped(wild):
    long = [b"data: " + b"x" * 1000] * 20
    wild.polls.extend([lambda _: stream(FIRST, *long, then="hang"), lambda _: stream(then="hang")])
    first, dropped, again = await heard(await started(wild, message_bytes=4_000), 3)
    assert (first, again) == (Execute("a", 1), Reconnected())
    assert dropped == Dropped("an event has more than 4000 bytes")


async def test_an_event_that_is_cut_off_is_dropped(wild):
    wild.polls.extend([lambda _: stream(FIRST + SECOND[:20]), lambda _: stream(then="hang")])
    _, dropped, again = await heard(await started(wild), 3)
    assert dropped == Dropped("the stream ended within an event")
    assert again == Reconnected()


async def test_what_was_dropped_is_an_event_of_the_worker(wild):
    events = []

    class Tracer:
        def record(self, event):
            events.append(event)

    wild.polls.append(lambda _: stream(b"data: hello\n\n", then="hang"))
    async with wild.client(tracers=[Tracer()]):
        await wild.clock.advance(1)
    assert [type(event) for event in events] == [MessageDropped]


async def test_what_answers_without_a_stream_is_no_server(wild):
    wild.always = lambda _: httpx.Response(200, text="<html>")
    with pytest.raises(ServerError, match="without a stream"):
        await started(wild, patience=0)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_later_ends_the_messages_with_an_error(wild, status):
    wild.polls.extend([lambda _: stream(FIRST), lambda _: httpx.Response(status)])
    store = await started(wild, token="t")
    with pytest.raises(AuthError):
        await heard(store, 5)
    await store.stop()


async def test_a_stream_that_ends_by_what_nobody_thought_of_is_said_to(wild, caplog):
    class Broken(VirtualClock):
        async def sleep_until(self, instant: int) -> None:
            raise ZeroDivisionError

    wild.polls.append(lambda _: stream(FIRST))
    store = await started(wild, clock=Broken())
    with pytest.raises(StoreError, match="ZeroDivisionError"):
        await heard(store, 5)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "The stream of messages from http://wild ended, and does not come back."
    ]
    await store.stop()


async def test_a_stream_that_can_not_be_closed_comes_back(wild):
    class Stuck(Body):
        async def aclose(self) -> None:
            raise ZeroDivisionError

    head = {"content-type": "text/event-stream"}
    wild.polls.extend([lambda _: httpx.Response(200, headers=head, stream=Stuck(FIRST)), lambda _: stream(then="hang")])
    assert await heard(await started(wild), 2) == [Execute("a", 1), Reconnected()]


async def test_a_message_from_a_flood_waits_in_the_connection_when_there_is_no_room(wild):
    read = 0

    class Flood(httpx.AsyncByteStream):
        async def __aiter__(self):
            nonlocal read
            while True:
                read += 1
                yield FIRST

    wild.polls.append(lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Flood()))
    store = await started(wild)
    for _ in range(5_000):
        await asyncio.sleep(0)
    assert 1_000 <= read < 1_100
    await store.stop()


async def test_a_flood_of_offers_makes_no_worker_take_more_than_it_has_room_for():
    wild = Wild()
    most = running = 0

    async def busy() -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await wild.clock.sleep_until(wild.clock.now() + 1_000)
        running -= 1

    async def flow(ctx: Context) -> None:
        await ctx.run(busy)

    starter, worker = wild.client(group="starter"), wild.client(group="busy", concurrency=3)
    worker.register(flow)
    async with starter:
        handles = [await starter.options(target="busy").begin_rpc(f"r{n}", "flow") for n in range(60)]
        async with worker:
            for handle in handles:
                await handle.result()
    assert most == 3
    assert wild.kinds.count("task.acquire") <= 70


async def test_messages_end_with_the_store_and_need_a_start(wild):
    store = wild.backend(dialect=OURS).connect(group="g", pid="p")
    with pytest.raises(UsageError):
        store.messages()
    await store.start()
    ending = asyncio.ensure_future(anext(store.messages(), "over"))
    await asyncio.sleep(0)
    await store.stop()
    assert await ending == "over"


# ---------------------------------------------------------------- whoever waits


async def test_a_result_that_came_while_the_stream_was_away_is_found_when_it_is_back(wild):
    cut = asyncio.Event()

    class Cut(httpx.AsyncByteStream):
        async def __aiter__(self):
            await cut.wait()
            yield b""

    wild.polls.append(lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Cut()))
    client = wild.client()
    async with client:
        promise = await client.promises.create("p", timeout=100_000)
        waiting = asyncio.ensure_future(client.get("p", returns=str).result())
        await wild.clock.advance(1_000)
        begun = wild.clock.now()
        await client.promises.resolve(promise.id, "signed")  # an unblock to a stream that nobody has
        cut.set()
        async with asyncio.timeout(60):
            assert await waiting == "signed"
        assert wild.clock.now() - begun < 1_000


async def test_a_server_that_starts_anew_gets_its_workers_back(wild):
    async def double(n: int) -> int:
        return 2 * n

    async def flow(ctx: Context) -> int:
        await ctx.sleep(30)
        return await ctx.run(double, 4)

    client = wild.client()
    client.register(flow)
    async with client:
        running = asyncio.ensure_future(client.run("root", flow))
        await wild.clock.advance(5_000)
        for transport in wild.transports:
            await transport.aclose()  # the server goes down, with all its streams
        async with asyncio.timeout(60):
            assert await running == 8


# ---------------------------------------------------------------- the front


async def test_the_front_answers_what_it_does_not_know_like_a_server(wild):
    async with wild.front.client() as client:
        assert (await client.get("http://x/health")).status_code == 200
        assert (await client.get("http://x/ready")).status_code == 200
        assert (await client.get("http://x/promises")).status_code == 404
        reply = await client.post("http://x/", content=b"hello")
        assert reply.status_code == 400
        assert reply.json()["head"] == {"corrId": "0", "status": 400, "version": "2026-04-01"}
        wild.front.request_bytes = 10
        assert (await client.post("http://x/", content=b"x" * 11)).status_code == 413


async def test_an_application_that_fails_breaks_the_connection():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("broken")

    async with httpx.AsyncClient(transport=FrontTransport(app)) as client:
        for path in ("/", "/late"):
            with pytest.raises(httpx.RemoteProtocolError, match="broken"):
                await client.get(f"http://x{path}")


async def test_a_store_that_fails_is_the_server_s_error(wild):
    class Failing:
        def __init__(self, error):
            self._error = error

        def connect(self, *, group, pid):
            inner = wild.server.connect(group=group, pid=pid)
            inner.send = self._fail
            return inner

        async def _fail(self, request):
            raise self._error

    for error, status in ((ServerError("disk full"), 500), (AuthError("no"), 401)):
        async with HttpFront(Failing(error)).client() as client:
            body = {"kind": "promise.get", "head": {"corrId": "1", "version": "2026-04-01"}, "data": {"id": "p"}}
            reply = await client.post("http://x/", content=orjson.dumps(body))
            assert reply.status_code == status
            assert str(error) in reply.json()["data"]


async def test_who_leaves_frees_its_place(wild):
    store = await started(wild)
    asked = PromiseCreate(id="t", timeout_at=wild.clock.now() + 100_000, tags={"resonate:target": "poll://any@g"})
    await store.send(PromiseSettle(id="nobody", state=PromiseState.RESOLVED))
    await store.stop()
    other = await started(wild)
    await other.send(asked)
    assert await heard(other, 1) == [Execute("t", 0)]
