"""One trace over two worker groups, one of whose processes is killed: real processes, real bytes, a real receiver."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from resonate import OTel, PromiseRecord, Resonate
from resonate.core import ids

HERE = Path(__file__).parent
SECONDS = 60


@define
class Site:
    """A receiver, a store, and the processes that work on it."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'shop.db'}"

    def start(self, script: str, *args: object) -> subprocess.Popen[str]:
        """Start a process; return once it said its first line, which is kept in `said`."""
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        process = subprocess.Popen(
            [sys.executable, HERE / script, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.processes.append(process)
        return process

    def receiver(self) -> None:
        process = self.start("receiver.py", self.folder / "received")
        self.port = int(process.stdout.readline())

    def worker(self, group: str, continuations: int, *more: object) -> subprocess.Popen[str]:
        process = self.start("shop.py", group, self.url, continuations, *more)
        assert process.stdout.readline() == "ready\n"
        return process

    @staticmethod
    def end(process: subprocess.Popen[str]) -> None:
        """Let a process end as it should."""
        process.stdin.close()
        assert process.wait(SECONDS) == 0

    @property
    def received(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "received").read_text().splitlines()]

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [line for line in self.received if "span" in line]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.receiver()
    yield site
    for process in site.processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


async def approve(client: Resonate) -> None:
    """Settle the promise that the order waits for, as soon as it is there."""
    async with asyncio.timeout(SECONDS):
        while True:
            async for record in client.promises.search(state="pending"):
                if "resonate:external" in record.tags:
                    await client.promises.resolve(record.id, value=True)
                    return
            await asyncio.sleep(0.05)


async def stored(client: Resonate) -> dict[str, PromiseRecord]:
    found = {record.id: record async for record in client.promises.search()}
    return {id: record for id, record in found.items() if not ids.is_own("order-1", id)}


def check(spans: list[dict[str, Any]], records: dict[str, PromiseRecord], above: str = "") -> None:
    """Check that the spans are those of the promises, each where it belongs."""
    copies: dict[str, set[str]] = {}
    for span in spans:
        copies.setdefault(span["span"], set()).add(span["bytes"])
    assert all(len(contents) == 1 for contents in copies.values())  # one that came twice is the same
    of = {
        span["attributes"]["resonate.promise.id"]: span for span in spans if "resonate.promise.id" in span["attributes"]
    }
    assert set(of) == set(records)
    assert {record.state.value for record in records.values()} <= {"resolved", "rejected"}
    for id, record in records.items():
        span, parent = of[id], record.tags["resonate:parent"]
        assert span["parent"] == (above if parent == id else of[parent]["span"])
        assert (span["start"], span["end"]) == (record.created_at * 10**6, record.settled_at * 10**6)
        assert span["attributes"]["resonate.promise.state"] == record.state.value
        assert (span["status"] == 2) == (record.state.value == "rejected")
    assert len({span["trace"] for span in spans}) == 1
    known = {span["span"] for span in spans} | {above, ""}
    assert [span["name"] for span in spans if span["parent"] not in known] == []


@pytest.mark.parametrize("crash", [False, True], ids=["no crash", "crash"])
@pytest.mark.parametrize("continuations", [1000, 0], ids=["parked", "replayed"])
async def test_one_trace_over_two_groups_of_processes(site, continuations, crash):
    warehouse = site.worker("warehouse", continuations)
    shop = site.worker("shop", continuations, *[site.folder / "killed"] * crash)
    async with Resonate(site.url, group="desk", telemetry=OTel()) as client:
        started = client.options(target="shop")
        handle = await started.begin_rpc("order-1", "order", ["Ulysses", "Emma"])
        if crash:
            assert await asyncio.to_thread(shop.wait, SECONDS) < 0
            shop = site.worker("shop", continuations)
        approving = asyncio.ensure_future(approve(client))
        assert await handle.result() == "receipt-1999, tracking of parcel of 2"
        await approving
        records = await stored(client)
    approval = next(id for id, record in records.items() if "resonate:external" in record.tags)
    for process in (shop, warehouse):
        await asyncio.to_thread(site.end, process)
    spans = site.spans
    del records[approval]  # the client that settled it has no exporter
    check(spans, records)
    assert {"order", "reserve", "charge", "pack"} <= {span["name"] for span in spans}
    [charge] = {span["bytes"]: span for span in spans if span["name"] == "charge"}.values()
    assert charge["events"] == ["resonate.attempt.failed"] * 2
    if not crash:  # else what the step's own code made is in a buffer of the process that was killed
        assert set(Counter(span["span"] for span in spans).values()) == {1}
        [bank] = [span for span in spans if span["name"] == "POST /charges"]
        assert bank["parent"] == charge["span"]
    measured = {line["metric"] for line in site.received if "metric" in line}
    assert {"resonate.tasks", "resonate.store.request.duration", "resonate.step.duration"} <= measured
