"""Which client carries a request: one of the loop that asks."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings

import httpx
import pytest

from resonate import NetworkError, Resonate, StoreError, UsageError
from resonate.adapters.http.carrier import ClientCarrier, LeanCarrier, Limits
from resonate.adapters.http.carriers import default_carrier
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.requests import PromiseGet, Rejection
from tests.unit.http.wild import never, until

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


async def ask(store, count=3):
    return [await store.send(PromiseGet("p")) for _ in range(count)]


def made(wild):
    """Return a maker of clients, and what it has made: client, loop."""
    clients = []

    def make():
        client = wild.http_client()
        clients.append((client, asyncio.get_running_loop()))
        return client

    return make, clients


async def test_each_loop_has_a_client_of_its_own_that_is_closed_with_it(wild):
    make, clients = made(wild)
    store = wild.backend(client=make, dialect=OURS).connect(group="g", pid="p")
    await store.start()
    here = await ask(store)
    there = await asyncio.to_thread(lambda: asyncio.run(ask(store)))
    assert {type(reply) for reply in here + there} == {Rejection}
    assert len(clients) == 2
    assert clients[1][0].is_closed
    assert not clients[0][0].is_closed
    await store.stop()
    assert clients[0][0].is_closed
    await store.start()
    await ask(store)
    assert len(clients) == 3
    await store.stop()


@pytest.mark.parametrize("kind", ["maker", "given"])
async def test_closing_ends_what_is_under_way_whoever_s_the_client_is(wild, kind):
    given = wild.http_client()
    backend = wild.backend(client=wild.http_client if kind == "maker" else given, dialect=OURS, timeout=3_600)
    client = Resonate(backend)
    store = backend.connect(group="h", pid="p")
    await store.start()
    async with client, asyncio.timeout(60):
        wild.always = never
        wild.requests.clear()
        asked = [asyncio.ensure_future(client.promises.create(f"p{number}", timeout=60)) for number in range(3)]
        direct = asyncio.ensure_future(store.send(PromiseGet("p")))
        await until(lambda: len(wild.kinds) == 4)
    async with asyncio.timeout(60):
        for call in asked:
            with pytest.raises(StoreError, match="stopped"):
                await call
        await store.stop()
        with pytest.raises(NetworkError, match="closed"):
            await direct
        wild.always = None
        await store.start()  # what was given can be used again
        assert {type(reply) for reply in await ask(store)} == {Rejection}
        await store.stop()
    assert not given.is_closed
    await given.aclose()


async def test_a_client_that_is_given_serves_every_loop_on_its_own_and_is_not_closed(wild):
    threads = set()

    def note(_request):
        threads.add(threading.get_ident())

    wild.always = note
    async with wild.http_client() as client:
        store = wild.backend(client=client, dialect=OURS).connect(group="g", pid="p")
        await store.start()
        replies = await asyncio.to_thread(lambda: asyncio.run(ask(store)))
        assert {type(reply) for reply in replies} == {Rejection}
        await store.stop()
        assert not client.is_closed
    assert threads == {threading.get_ident()}


def test_a_client_whose_loop_has_ended_is_refused_and_leaves_nothing_to_warn_of(wild):
    client = wild.http_client()
    store = wild.backend(client=client, dialect=OURS).connect(group="g", pid="p")
    asyncio.run(store.start())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(UsageError, match="loop that has ended"):
            asyncio.run(ask(store))
        gc.collect()
    assert [str(one.message) for one in warned if "never awaited" in str(one.message)] == []


async def test_a_client_s_own_headers_and_hooks_are_used(wild):
    async def hook(request):
        request.headers["x-hook"] = "yes"

    def make():
        client = wild.http_client()
        client.headers["x-mine"] = "1"
        client.event_hooks = {"request": [hook]}
        return client

    store = wild.backend(client=make, dialect=OURS).connect(group="g", pid="p")
    await store.start()
    await ask(store)
    await store.stop()
    assert {(request.headers["x-mine"], request.headers["x-hook"]) for request in wild.requests} == {("1", "yes")}


@pytest.mark.parametrize(
    ("environment", "url", "kind"),
    [
        ({}, "http://server:8001", LeanCarrier),
        ({}, "https://server", LeanCarrier),
        ({"http_proxy": "http://proxy:3128"}, "http://server:8001", ClientCarrier),
        ({"http_proxy": "http://proxy:3128"}, "https://server", LeanCarrier),
        ({"https_proxy": "http://proxy:3128"}, "https://server", ClientCarrier),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost,server"}, "http://server:8001", LeanCarrier),
    ],
)
async def test_a_proxy_of_the_environment_is_used(monkeypatch, environment, url, kind):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    carrier = default_carrier(httpx.URL(url), Limits(), 10)()
    assert isinstance(carrier, kind)
    await carrier.close()


async def test_what_a_server_packs_is_unpacked(wild):
    import gzip

    def packed(request):
        from tests.unit.http.wild import answer

        body = gzip.compress(answer(request, 404, "no").content)
        return httpx.Response(404, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body))

    store = wild.backend(dialect=OURS).connect(group="g", pid="p")
    await store.start()
    wild.posts.append(packed)
    assert await store.send(PromiseGet("p")) == Rejection(404, "no")
    await store.stop()
