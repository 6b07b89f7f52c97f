"""Requests over HTTP, and what a server can do wrong with them."""

from __future__ import annotations

import asyncio

import httpx
import orjson
import pytest

from resonate import AuthError, Context, NetworkError, ReplyTooLong, Resonate, ServerError, StoreError, UsageError
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.requests import (
    Done,
    PromiseCreate,
    PromiseGet,
    PromiseReply,
    PromiseSearch,
    Rejection,
    TaskHeartbeat,
    TaskRef,
)
from resonate.testing import OLDER, FieldServer, HttpFront, VirtualClock
from tests.unit.http.wild import Body, Wild, answer, never, until

DAY = 86_400_000


def html(_request):
    return httpx.Response(200, headers={"content-type": "text/html"}, text="<html>Welcome to nginx!</html>")


def cut(_request):
    return httpx.Response(200, stream=Body(b'{"kind":"promise', then=httpx.ReadError("cut")))


def huge(_request):
    return httpx.Response(200, stream=Body(*[b"x" * 100_000] * 100))


def endless(_request):
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b"x" * 2**20

    return httpx.Response(200, stream=Endless())


def stalled(_request):
    return httpx.Response(200, stream=Body(b"{", then="hang"))


def other_number(request):
    reply = orjson.loads(answer(request, 200, {"promise": {}}).content)
    reply["head"]["corrId"] = "somebody-elses"
    return httpx.Response(200, json=reply)


def other_kind(request):
    reply = orjson.loads(answer(request, 200, {"promise": {}}).content)
    return httpx.Response(200, json={**reply, "kind": "promise.settle"})


def absent_for_another(request):
    reply = orjson.loads(answer(request, 404, "not found").content)
    reply["head"]["corrId"] = "somebody-elses"
    return httpx.Response(404, json=reply)


def refused_for_another(status):
    def answerer(request):
        reply = orjson.loads(answer(request, status, "not yours").content)
        reply["head"]["corrId"] = "somebody-elses"
        return httpx.Response(status, json=reply)

    return answerer


def half(request):
    return answer(request, 200, {"promise": {"id": "p"}})


def array(_request):
    return httpx.Response(200, json=[1, 2, 3])


BAD = {
    "HTML": (html, ServerError),
    "an error page": (lambda _: httpx.Response(502, text="Bad Gateway"), ServerError),
    "a redirect": (lambda _: httpx.Response(302, headers={"location": "http://elsewhere/"}), ServerError),
    "closes within the body": (cut, NetworkError),
    "10 MB": (huge, ServerError),
    "without end": (endless, ReplyTooLong),
    "stalls within the body": (stalled, NetworkError),
    "another request's number": (other_number, ServerError),
    "another request's refusal": (absent_for_another, ServerError),
    **{
        f"another request's {status}": (refused_for_another(status), ServerError)
        for status in (400, 401, 403, 413, 422, 501)
    },
    "another kind": (other_kind, ServerError),
    "half a record": (half, ServerError),
    "an array": (array, ServerError),
    "nothing": (lambda _: httpx.Response(200), ServerError),
    "never": (never, NetworkError),
    "refuses the connection": (lambda _: httpx.ConnectError("refused"), NetworkError),
    "resets the connection": (lambda _: ConnectionResetError("reset"), NetworkError),
    "500": (lambda request: answer(request, 500, "Internal error: database"), ServerError),
    "503": (lambda request: answer(request, 503, "not now"), ServerError),
    "a kind that nobody knows": (lambda request: httpx.Response(500, json={"kind": "unknown"}), ServerError),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_answer_is_an_error_of_its_type(wild, name):
    answerer, expected = BAD[name]
    store = wild.backend(dialect=OURS, timeout=patience(name)).connect(group="g", pid="p")
    await store.start()
    wild.posts.append(answerer)
    with pytest.raises(expected) as caught:
        await store.send(PromiseGet("p"))
    assert isinstance(caught.value, expected)
    assert caught.value.retriable == (expected is not ReplyTooLong)
    assert "http://wild" in str(caught.value) or "promise.get" in str(caught.value)
    await store.stop()


def patience(name):
    """Return how long a request may take: long, unless that is what it is about, since machines can be busy."""
    return 0.1 if name in {"never", "stalls within the body"} else 60


@pytest.mark.parametrize("name", [name for name in BAD if BAD[name][1].retriable])
async def test_a_workflow_finishes_once_the_server_is_sane_again(name):
    wild = Wild()

    async def double(n: int) -> int:
        return 2 * n

    async def flow(ctx: Context) -> int:
        return await ctx.run(double, await ctx.run(double, 1))

    client = wild.client(timeout=patience(name))
    client.register(flow)
    async with client:
        running = asyncio.ensure_future(client.run("root", flow))
        await until(lambda: len(wild.kinds) >= 6)
        wild.posts.extend([BAD[name][0]] * 3)
        async with asyncio.timeout(120):
            assert await running == 4
    assert not wild.posts


async def test_unknown_members_are_passed_over(wild, store):
    def more(request):
        data = {"promise": {**RECORD, "color": "red"}, "extra": [1]}
        reply = orjson.loads(answer(request, 200, data).content)
        return httpx.Response(200, json={**reply, "more": None, "head": {**reply["head"], "trace": {}}})

    wild.posts.append(more)
    reply = await store.send(PromiseGet("p"))
    assert isinstance(reply, PromiseReply)
    assert reply.promise.id == "p"


RECORD = {"id": "p", "state": "pending", "param": {}, "value": {}, "tags": {}, "timeoutAt": 5, "createdAt": 1}


async def test_each_request_has_a_number_of_its_own(wild, store):
    other = wild.backend(dialect=OLDER).connect(group="g", pid="q")
    await other.start()
    await store.send_all([PromiseGet("p")] * 50)
    await other.send_all([PromiseGet("p")] * 50)
    await other.stop()
    numbers = [orjson.loads(request.content)["head"]["corrId"] for request in wild.requests if request.content]
    assert len(set(numbers)) == 100


@pytest.mark.parametrize("status", [409, 422, 400, 404, 501])
async def test_refusals_by_the_rules_are_values(wild, store, status):
    wild.posts.append(lambda request: answer(request, status, "no"))
    assert await store.send(PromiseGet("p")) == Rejection(status, "no")


async def test_a_request_that_is_too_large_is_refused_and_not_repeated(wild, store):
    wild.posts.append(lambda _: httpx.Response(413, text="length limit exceeded"))
    reply = await store.send(PromiseGet("p"))
    assert isinstance(reply, Rejection)
    assert reply.status == 413


async def test_a_value_larger_than_the_server_takes_fails_its_execution_and_nothing_hangs():
    wild = Wild()
    wild.front.request_bytes = 20_000

    async def big() -> str:
        return "x" * 30_000

    async def flow(ctx: Context) -> str:
        return await ctx.run(big)

    client = wild.client()
    client.register(flow)
    async with client, asyncio.timeout(60):
        with pytest.raises(StoreError, match="larger"):
            await client.run("root", flow)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [("7", 7_000), ("Wed, 01 Jan 2025 00:00:09 GMT", 9_000), ("soon", None), ("-1", None), ("", None)],
)
async def test_an_error_says_how_long_to_leave_the_server_alone(wild, store, wish, expected):
    wild.posts.append(lambda request: answer(request, 503, "busy", **{"retry-after": wish}))
    with pytest.raises(ServerError) as caught:
        await store.send(PromiseGet("p"))
    assert caught.value.retry_after_ms == expected


async def test_who_waits_leaves_the_server_alone_for_so_long():
    wild = Wild()
    client = wild.client()
    async with client:
        begun = wild.clock.now()
        wild.posts.extend([lambda request: answer(request, 429, "slow down", **{"retry-after": "60"})] * 2)
        await client.promises.create("p", timeout=1000)
        assert 120_000 <= wild.clock.now() - begun < 122_000


async def test_closing_the_client_wakes_who_waits_for_the_server():
    wild = Wild(clock=VirtualClock(auto_jump=False))
    client = wild.client()
    async with client:
        wild.always = lambda _: httpx.ConnectError("down")
        waiting = asyncio.ensure_future(client.promises.create("p", timeout=1000))
        await until(lambda: len(wild.requests) >= 5)
    async with asyncio.timeout(60):
        with pytest.raises(StoreError, match="stopped"):
            await waiting


async def test_403_is_the_token_s_trouble_and_for_a_search_a_refusal(wild, store):
    wild.posts.extend([lambda request: answer(request, 403, "Forbidden")] * 2)
    with pytest.raises(AuthError, match=r"promise\.get"):
        await store.send(PromiseGet("p"))
    assert await store.send(PromiseSearch()) == Rejection(403, "Forbidden")


# ---------------------------------------------------------------- cut off


async def test_a_worker_that_is_cut_off_stops_before_its_lease_ends_and_goes_on_later(wild):
    begun, canceled = [], []

    async def long() -> str:
        begun.append(wild.clock.now())
        try:
            await wild.clock.sleep_until(begun[0] + 300_000)
        except asyncio.CancelledError:
            canceled.append(wild.clock.now())
            raise
        return "done"

    async def flow(ctx: Context) -> str:
        return await ctx.run(long)

    client = wild.client(ttl=60)
    client.register(flow)
    async with client:
        running = asyncio.ensure_future(client.run("root", flow))
        await until(lambda: bool(begun))
        wild.always = lambda _: httpx.ConnectError("no route to host")
        await wild.clock.advance(120_000)
        assert [instant - begun[0] < 60_000 for instant in canceled] == [True]
        wild.always = None
        async with asyncio.timeout(60):
            assert await running == "done"
    assert len(begun) == 2


# ---------------------------------------------------------------- many at once


async def test_one_of_many_that_goes_unanswered_stands_in_its_place(wild, store):
    wild.posts.extend([None, lambda _: httpx.ConnectError("down"), None])
    first, second, third = await store.send_all([PromiseGet("a"), PromiseGet("b"), PromiseGet("c")])
    assert isinstance(first, Rejection)
    assert isinstance(second, NetworkError)
    assert isinstance(third, Rejection)


async def test_many_of_which_none_is_answered_raise(wild, store):
    wild.posts.extend([lambda _: httpx.ConnectError("down")] * 2)
    with pytest.raises(NetworkError):
        await store.send_all([PromiseGet("a"), PromiseGet("b")])


async def test_a_request_that_cannot_be_written_is_the_caller_s_mistake(store):
    with pytest.raises(UsageError):
        await store.send_all([PromiseGet("a"), PromiseGet("\ud800")])


async def test_heartbeats_go_out_one_for_each_origin(wild):
    wild.server = FieldServer(wild.server, OLDER)
    wild.front = HttpFront(wild.server)
    store = wild.backend(dialect=OLDER).connect(group="g", pid="p")
    await store.start()
    tasks = tuple(TaskRef(id, 1) for id in ("a", "a.1", "b", "c:1"))
    assert await store.send(TaskHeartbeat(pid="p", tasks=tasks)) == Done()
    assert wild.kinds == ["task.heartbeat"] * 3
    await store.stop()


# ---------------------------------------------------------------- starting


async def test_a_start_waits_for_a_server_that_comes_up(wild):
    wild.polls.extend([lambda _: httpx.ConnectError("refused")] * 3)
    async with wild.client() as client:
        assert (await client.health()).ok


@pytest.mark.parametrize("answerer", [html, lambda _: httpx.ConnectError("refused"), lambda _: httpx.Response(410)])
async def test_a_start_gives_up_on_what_is_no_server(wild, answerer):
    begun = wild.clock.now()
    wild.always = answerer
    with pytest.raises(StoreError, match="http://wild"):
        await wild.client(patience=10).__aenter__()
    assert wild.clock.now() - begun == 10_000
    assert 5 < len(wild.requests) < 40


@pytest.mark.parametrize(
    "url",
    ["http://", "ftp://host", "http://host?x=1", "http://host/#a", "http://[::1", "host:8001", "http://host:port", ""],
)
def test_an_address_that_leads_to_no_server_is_refused_at_once(wild, url):
    with pytest.raises(UsageError, match="http://host:port"):
        wild.backend(url)


async def test_a_server_may_lie_below_a_path(wild):
    store = wild.backend("http://wild:81/resonate/", dialect=OLDER).connect(group="g", pid="p")
    wild.always = lambda request: (
        httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(then="hang"))
        if request.method == "GET"
        else answer(request, 404, "no")
    )
    await store.start()
    await store.send(PromiseGet("p"))
    await store.stop()
    assert [str(request.url) for request in wild.requests] == [
        "http://wild:81/resonate/poll/g/p",
        "http://wild:81/resonate/",
    ]


# ---------------------------------------------------------------- health


async def test_health_tells_of_the_store_and_of_the_worker(wild):
    client = wild.client()
    with pytest.raises(UsageError):
        await client.health()
    async with client:
        health = await client.health()
        assert health.ok
        assert health.store_ms is not None
        wild.posts.append(lambda _: httpx.ConnectError("down"))
        health = await client.health()
        assert not health.ok
        assert isinstance(health.trouble, NetworkError)
        assert (await client.health()).ok


def test_a_token_is_for_servers_that_are_given_by_url():
    with pytest.raises(UsageError, match="token"):
        Resonate("memory://", token="t")


async def test_a_client_finds_server_token_and_group_in_the_environment(monkeypatch):
    monkeypatch.setenv("RESONATE_URL", "https://example.invalid:8001")
    monkeypatch.setenv("RESONATE_TOKEN", "from-the-environment")
    monkeypatch.setenv("RESONATE_GROUP", "billing")
    settings = Resonate()._session.settings
    assert repr(settings.backend) == "HttpBackend('https://example.invalid:8001')"
    assert settings.group == "billing"
    assert await settings.backend._credentials().current() == "from-the-environment"


def test_an_empty_url_in_the_environment_is_told_by_its_name(monkeypatch):
    monkeypatch.setenv("RESONATE_URL", "")
    with pytest.raises(UsageError, match=r"RESONATE_URL is empty\. Set it to a URL"):
        Resonate()


async def test_a_promise_crosses_whole(wild, store):
    reply = await store.send(PromiseCreate(id="p", timeout_at=wild.clock.now() + DAY, tags={"a": "é\u2028"}))
    assert isinstance(reply, PromiseReply)
    assert reply.promise.tags == {"a": "é\u2028"}
