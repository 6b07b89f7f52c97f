"""Workers and servers that are killed in the middle: the work goes on where it was, and ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from resonate import Resonate
from tests.interop import our_worker, peers
from tests.interop.conftest import Site

pytestmark = pytest.mark.interop


@contextmanager
def worker(url: str, group: str) -> Any:
    child = subprocess.Popen([sys.executable, our_worker.__file__, url, group], stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"ready\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def notes(path: Path) -> Counter[int]:
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


async def reached(path: Path, count: int) -> None:
    async with asyncio.timeout(15):
        while len(notes(path)) < count:  # noqa: ASYNC110 - another process writes the file
            await asyncio.sleep(0.01)


async def test_another_worker_takes_over_from_one_that_was_killed(
    site: Site, tmp_path: Path, record_property: Any
) -> None:
    record_property("row", "its worker is killed")
    record_property("column", site.server.name)
    group, path = site.group("mortal"), tmp_path / "notes"
    async with Resonate(site.server.url, group=site.group("caller")) as client, asyncio.timeout(40):
        with worker(site.server.url, group) as first:  # connected before there is work: an offer to nobody is lost
            handle = await client.options(target=group).begin_rpc(site.id(), "journey", str(path), 20)
            await reached(path, 7)
            with worker(site.server.url, group):
                first.kill()
                first.wait()
                assert await handle.result() == sum(range(20))
    times = notes(path)
    assert set(times) == set(range(20))
    assert times.total() <= 21, "only the step that was under way is done again"


@pytest.mark.skipif(not peers.COMMAND, reason="RESONATE_TEST_SERVER_COMMAND is not set: how to start a server")
async def test_workers_finish_though_the_server_is_killed(tmp_path: Path, record_property: Any) -> None:
    record_property("row", "the server is killed")
    path = tmp_path / "notes"
    with peers.OwnServer(tmp_path) as server:
        record_property("column", f"Resonate server ({peers.COMMAND.split()[0]})")
        async with Resonate(server.url, group="lasting") as client, asyncio.timeout(60):
            client.register(our_worker.journey)
            handle = await client.begin_run("journey", our_worker.journey, str(path), 30)
            for count in (5, 12, 20):
                await reached(path, count)
                server.kill()
                await asyncio.sleep(0.5)
                server.start()
            assert await handle.result() == sum(range(30))
    assert notes(path) == Counter(range(30)), (
        "each step was done once: what is lost are replies, and they are asked again"
    )


async def test_a_request_that_is_cut_off_ends_nothing(site: Site, record_property: Any) -> None:
    record_property("row", "who asks it is cut off")
    record_property("column", site.server.name)
    url = httpx.URL(site.server.url)
    async with asyncio.timeout(15):
        reader, writer = await asyncio.open_connection(url.host, url.port or 80)
        writer.write(b"POST / HTTP/1.1\r\nhost: peer\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        await writer.drain()
        writer.write_eof()
        await reader.read()
        writer.close()
    assert site.server.ask("promise.get", id="nobody's")[0] == 404
