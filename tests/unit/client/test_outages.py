"""While the store is away: what is asked for is asked again, and that is said once."""

from __future__ import annotations

import asyncio

import pytest

from resonate import Context, NetworkError
from resonate.core.protocol.requests import PromiseGet
from tests.unit.regressions.slow import Slow, a_moment


class Broken:
    """Fails what it is told to, on the way to a backend."""

    def __init__(self, backend):
        self.fails = lambda _request: False
        self.backend = Slow(backend, before=self._pass)

    async def _pass(self, request):
        await a_moment(request)
        if self.fails(request):
            raise NetworkError("the server is on the moon")

    def everything(self, fails):
        self.fails = lambda _request: fails


@pytest.fixture
def broken(harness):
    return Broken(harness.backend)


@pytest.fixture
async def client(harness, broken):
    return await harness.open(harness.client(backend=broken.backend))


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


AWAY = "The store does not answer; what was asked for is asked again until it does: the server is on the moon"
BACK = "The store answers again; work goes on."


async def test_an_outage_is_said_once_for_all_requests_and_so_is_its_end(harness, broken, client, caplog):
    @client.register
    async def workflow(ctx: Context, n: int) -> int:
        await ctx.sleep(30)
        return n

    for _ in range(2):
        caplog.clear()
        made = [await client.promises.create(f"p{n}") for n in range(20)]
        handles = [await client.begin_run(f"{harness.clock.now()}-{n}", workflow, n) for n in range(20)]
        await harness.clock.advance(1_000)
        broken.everything(True)
        asked = [asyncio.ensure_future(client.promises.get(promise.id)) for promise in made]
        await harness.clock.advance(25_000)
        assert said(caplog) == [AWAY]
        broken.everything(False)
        await asyncio.gather(*asked)
        assert [await handle.result() for handle in handles] == list(range(20))
        await harness.clock.advance(60_000)
        assert said(caplog) == [AWAY, BACK]


async def test_what_fails_twice_is_not_worth_a_word(broken, client, caplog):
    failed = []

    def twice(request):
        failed.append(request)
        return len(failed) <= 2

    await client.promises.create("p")
    broken.fails = twice
    assert (await client.promises.get("p")).id == "p"
    assert len(failed) == 3
    assert said(caplog) == []


async def test_one_request_that_fails_for_long_is_said_once_though_others_are_answered(harness, broken, client, caplog):
    for name in ("p", "q"):
        await client.promises.create(name)
    broken.fails = lambda request: isinstance(request, PromiseGet) and request.id == "p"
    asked = asyncio.ensure_future(client.promises.get("p"))
    for _ in range(50):
        await client.promises.get("q")
        await harness.clock.advance(1_000)
    assert said(caplog) == [AWAY]
    asked.cancel()
    await asyncio.wait([asked])
    await client.promises.get("q")
    assert said(caplog) == [AWAY, BACK]
