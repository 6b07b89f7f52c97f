"""Tokens: shown where servers look for them, renewed once, never told to anybody else."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from base64 import b64encode

import httpx
import orjson
import pytest

from resonate import AuthError, Context, NetworkError, UsageError
from resonate.adapters.http import HttpBackend
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.requests import PromiseGet, Rejection
from tests.unit.http.wild import Wild, answer, until

SECRET = "s3cr3t-t0ken"


def only(*accepted):
    return lambda token: 200 if token in accepted else 401


async def double(n: int) -> int:
    return 2 * n


async def flow(ctx: Context) -> int:
    return await ctx.run(double, await ctx.run(double, 1))


async def test_the_token_is_shown_in_the_envelope_and_in_the_header(wild):
    wild.front.judge = only(SECRET)
    client = wild.client(token=SECRET)
    client.register(flow)
    async with client:
        assert await client.run("root", flow) == 4
    assert {request.headers["authorization"] for request in wild.requests} == {f"Bearer {SECRET}"}
    posts = [orjson.loads(request.content) for request in wild.requests if request.method == "POST"]
    assert {post["head"]["auth"] for post in posts} == {SECRET}


async def test_without_a_token_nothing_is_shown(wild):
    async with wild.client():
        pass
    assert not any("authorization" in request.headers for request in wild.requests)
    assert not any(b'"auth"' in request.content for request in wild.requests)


async def test_a_token_that_is_not_accepted_ends_the_start_at_once(wild):
    wild.front.judge = only(SECRET)
    with pytest.raises(AuthError, match="does not accept the token"):
        await wild.client(token="wrong").__aenter__()
    assert len(wild.requests) == 1


async def test_a_server_that_asks_for_a_token_is_told_from_one_that_refuses_it(wild):
    wild.front.judge = only(SECRET)
    with pytest.raises(AuthError, match="asks for a token"):
        await wild.client().__aenter__()


async def test_a_token_that_is_refused_later_stops_the_worker_with_one_line_and_no_more_requests(wild, caplog):
    caplog.set_level(logging.WARNING)
    wild.front.judge = only(SECRET)
    client = wild.client(token=SECRET, ttl=1)
    client.register(flow)

    async def waits(ctx: Context) -> None:
        await (await ctx.promise())

    client.register(waits)
    async with client:
        waiting = [asyncio.ensure_future(client.run(f"waits-{number}", waits)) for number in range(20)]
        await wild.clock.advance(10_000)
        wild.front.judge = only("another")
        before = len(wild.requests)
        calls = [client.run(f"run-{number}", flow) for number in range(20)]
        outcomes = await asyncio.gather(*calls, *waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {AuthError}
        asked = len(wild.requests) - before
        await wild.clock.advance(3_600_000)
        assert len(wild.requests) - before == asked <= 41  # at most what was under way, and nothing after it
        health = await client.health()
        assert isinstance(health.trouble, AuthError)
        assert not client.healthy
        with pytest.raises(AuthError):
            await client.promises.get("anything")
        assert len(wild.requests) - before == asked
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


async def test_a_function_is_asked_again_once_after_a_refusal(wild):
    tokens = iter(["first", "second", "third"])
    wild.front.judge = only("first")
    client = wild.client(token=lambda: next(tokens))
    client.register(flow)
    async with client:
        wild.front.judge = only("second")
        assert await client.run("root", flow) == 4
    assert next(tokens) == "third"


async def test_an_async_function_is_asked_once_by_many_that_are_refused_together(wild):
    asked = []

    async def token() -> str:
        asked.append(None)
        await asyncio.sleep(0)
        return f"token-{len(asked)}"

    wild.front.judge = only("token-1")
    store = wild.backend(token=token, dialect=OURS).connect(group="g", pid="p")
    await store.start()
    wild.front.judge = only("token-2")
    replies = await store.send_all([PromiseGet("p")] * 30)
    assert {type(reply) for reply in replies} == {Rejection}
    assert len(asked) == 2
    await store.stop()


async def test_a_refusal_that_comes_late_finds_that_there_is_a_new_token(wild):
    asked = []
    store = wild.backend(token=lambda: asked.append(0) or f"token-{len(asked)}", dialect=OURS).connect(
        group="g", pid="p"
    )
    await store.start()
    wild.front.judge = only("token-2")
    renewed = asyncio.Event()

    async def late(request):
        await renewed.wait()

    wild.posts.append(late)
    slow = asyncio.ensure_future(store.send(PromiseGet("p")))
    await until(lambda: wild.front.posts + len(wild.kinds) > 0)
    assert isinstance(await store.send(PromiseGet("p")), Rejection)
    renewed.set()
    assert isinstance(await slow, Rejection)
    assert len(asked) == 2
    await store.stop()


async def test_a_function_whose_new_token_is_refused_too_is_asked_no_more(wild):
    asked = []
    store = wild.backend(token=lambda: asked.append(0) or f"token-{len(asked)}", dialect=OURS).connect(
        group="g", pid="p"
    )
    await store.start()
    wild.front.judge = only()
    for _ in range(3):
        with pytest.raises(AuthError):
            await store.send(PromiseGet("p"))
    assert len(asked) == 2
    assert wild.front.posts == 2
    await store.stop()
    wild.front.judge = only("token-2")
    await store.start()  # whoever opens it again wants it tried again
    assert isinstance(await store.send(PromiseGet("p")), Rejection)
    await store.stop()


async def test_the_stream_renews_its_token_and_stops_for_good_when_that_is_refused(wild):
    tokens = iter(["a", "b"])
    wild.front.judge = only("b")
    store = wild.backend(token=lambda: next(tokens), dialect=OURS).connect(group="g", pid="p")
    await store.start()
    assert wild.streams == 2
    await store.stop()
    wild.front.judge = only("c")
    store = wild.backend(token="b", dialect=OURS).connect(group="g", pid="p")
    with pytest.raises(AuthError):
        await store.start()


async def test_a_function_that_fails_is_trouble_that_may_pass(wild):
    def token() -> str:
        raise RuntimeError(f"vault: {SECRET} has expired")

    store = wild.backend(token=token, dialect=OURS, patience=0).connect(group="g", pid="p")
    with pytest.raises(NetworkError, match="RuntimeError") as caught:
        await store.start()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


NO_TOKENS = {
    "nothing": lambda: None,
    "no text": lambda: 7,
    "an empty text": lambda: "",
    "what no header can carry": lambda: f"{SECRET}\n",
    "an error": lambda: 1 // 0,
}


@pytest.mark.parametrize("name", NO_TOKENS)
@pytest.mark.parametrize("way", ["requests", "stream"])
async def test_a_function_that_once_gives_no_token_is_asked_again(wild, name, way, caplog):
    caplog.set_level(logging.WARNING)
    asked = []

    def token() -> str:
        asked.append(None)
        return NO_TOKENS[name]() if 2 <= len(asked) <= 4 else f"token-{len(asked)}"

    wild.front.judge = only("token-1")
    client, outside = wild.client(token=token), wild.client(token="other", group="outside")
    client.register(flow)
    async with client:
        wild.front.judge = lambda token: 401 if token == "token-1" else 200
        if way == "requests":
            assert await client.run("root", flow) == 4
        for transport in wild.transports:
            await transport.aclose()  # the server goes down, with all its streams
        await wild.clock.advance(60_000)
        assert len(asked) == 5
        async with outside:
            assert await outside.options(target="default").rpc("called", "flow") == 4
        assert client.healthy
    assert SECRET not in caplog.text


async def test_a_function_that_gives_no_token_at_first_is_given_the_time_that_a_start_has(wild):
    tokens = iter(["", "", "token"])
    store = wild.backend(token=lambda: next(tokens), dialect=OURS).connect(group="g", pid="p")
    await store.start()
    await store.stop()


async def test_a_function_that_returns_no_text_is_a_mistake(wild):
    with pytest.raises(UsageError, match="NoneType"):
        await wild.backend(token=lambda: None, dialect=OURS).connect(group="g", pid="p").start()


@pytest.mark.parametrize("token", [f"{SECRET} x", f"{SECRET}\nx", f"{SECRET}\x00", f"{SECRET}é"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(wild, token):
    with pytest.raises(UsageError, match="token") as caught:
        wild.backend(token=token)
    assert SECRET not in str(caught.value)


def test_a_token_is_text_or_a_function(wild):
    with pytest.raises(UsageError, match="int"):
        wild.backend(token=7)


@pytest.mark.parametrize("token", ["", "  ", "\n"])
async def test_an_empty_token_is_none(wild, token):
    assert await wild.backend(token=token)._credentials().current() is None


# ---------------------------------------------------------------- in the URL


async def test_a_name_and_password_in_the_url_go_into_a_header_and_nowhere_else(wild):
    backend = wild.backend(f"http://me%40here:{SECRET}@wild")
    assert SECRET not in repr(backend)
    assert backend.url == "http://wild"
    async with asyncio.timeout(60):
        store = backend.connect(group="g", pid="p")
        await store.start()
        await store.stop()
    request = wild.requests[0]
    assert httpx.BasicAuth("me@here", SECRET)._build_auth_header("me@here", SECRET) == request.headers["authorization"]
    assert SECRET not in str(request.url)


def test_a_password_and_a_token_are_one_too_many():
    with pytest.raises(UsageError) as caught:
        HttpBackend(f"http://me:{SECRET}@wild", token="t")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", [f"http://me:{SECRET}@wild?x", f"ftp://me:{SECRET}@wild", f"http://me:{SECRET}@"])
def test_a_bad_url_is_refused_without_its_password(url):
    with pytest.raises(UsageError) as caught:
        HttpBackend(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


# ---------------------------------------------------------------- told to nobody


@pytest.mark.parametrize("way", ["token", "url"])
async def test_what_is_secret_is_in_no_log_error_event_or_repr(way, caplog):
    caplog.set_level(logging.DEBUG)
    wild = Wild()
    seen: list[str] = []

    class Tracer:
        def record(self, event: object) -> None:
            seen.append(repr(event))

    from resonate import Resonate

    backend = wild.backend(token=SECRET) if way == "token" else wild.backend(f"http://{SECRET}:{SECRET}@wild")
    client = Resonate(backend, tracers=[Tracer()])
    client.register(flow)
    errors: list[BaseException] = []
    async with client:
        store = client._session.parts.backing
        seen.extend(map(repr, (backend, store, store._credentials, store._network, store._network._place, client)))
        for answerer in (
            lambda _: httpx.ConnectError("refused"),
            lambda request: answer(request, 500, "trouble"),
            lambda _: httpx.Response(200, text="<html>"),
            lambda _: httpx.Response(503),
        ):
            wild.posts.append(answerer)
            with pytest.raises(Exception) as caught:
                await store.send(PromiseGet("p"))
            errors.append(caught.value)
        assert await client.run("root", flow) == 4
        wild.always = lambda request: answer(request, 401, "Unauthorized") if request.content else httpx.Response(401)
        with pytest.raises(AuthError) as caught:
            await store.send(PromiseGet("p"))
        errors.append(caught.value)
    told = [record.getMessage() for record in caplog.records] + [str(vars(record)) for record in caplog.records]
    for error in errors:
        told += [
            "".join(traceback.format_exception(error)),
            repr(error),
            str(error),
            str(pickle.loads(pickle.dumps(error))),
        ]
    assert told
    assert seen
    packed = b64encode(f"{SECRET}:{SECRET}".encode()).decode()
    assert [text for text in told + seen if SECRET in text or packed in text] == []


async def test_a_worker_that_was_refused_what_it_does_is_not_asked_about_again(wild):
    client = wild.client()
    client.register(flow)
    async with client:
        wild.posts.append(lambda request: answer(request, 403, "Forbidden"))
        parts = client._session.parts
        with pytest.raises(AuthError) as caught:
            await parts.store.send(PromiseGet("p"))
        parts.worker.refused(caught.value)
        before = len(wild.requests)
        health = await client.health()
        assert health.trouble is caught.value
        assert health.store_ms is None
        assert len(wild.requests) == before
