"""A tracer, an exporter or a log handler that raises, blocks or is slow changes nothing of what executions do."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Sampler

from resonate import Context, Exponential, Info, OTel, Resonate, logs
from tests.unit.otel.conftest import Backend

STEPS = 200


class Bad(SpanExporter):
    """An exporter that raises, blocks until it is let go, or is slow."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.called = threading.Event()
        self.gate = threading.Event()
        self.count = 0

    def export(self, spans):
        self.called.set()
        self.count += len(spans)
        match self.how:
            case "raises":
                raise RuntimeError("no exporting today")
            case "blocks":
                assert self.gate.wait(60)
            case "slow":
                time.sleep(0.2)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.gate.set()


async def add(n: int) -> int:
    return n + 1


async def counts(ctx: Context) -> int:
    n = 0
    while n < STEPS:
        n = await ctx.run(add, n)
    return n


async def run(**options: object) -> float:
    """Run the workflow in real time; return how long that took, without opening and closing."""
    async with Resonate(**options) as client:
        client.register(counts)
        since = time.perf_counter()
        assert await client.run("a", counts) == STEPS
        return time.perf_counter() - since


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, lambda to: BatchSpanProcessor(to, schedule_delay_millis=1)])
@pytest.mark.parametrize("how", ["raises", "blocks", "slow"])
async def test_a_bad_exporter_changes_neither_outcome_nor_pace(how, processor):
    exporter = Bad(how)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor(exporter))
    taken = await run(telemetry=OTel(provider, flush=0.1))
    assert exporter.called.wait(60)
    exporter.gate.set()
    assert taken < STEPS * 0.2  # which it would be if each span were waited for


async def test_what_a_blocked_exporter_has_no_room_for_is_dropped_counted_and_said_once(caplog):
    backend, exporter = Backend(), Bad("blocks")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = OTel(provider, backend.meters, queue=50, flush=5)
    async with Resonate(telemetry=telemetry) as client:
        client.register(counts)
        assert await client.run("a", counts) == STEPS
        await asyncio.to_thread(exporter.called.wait, 60)
        assert await client.run("b", counts) == STEPS
        exporter.gate.set()
    dropped = {tuple(told): n for told, n in backend.metrics()["resonate.telemetry.dropped"]}[()]
    assert dropped > STEPS
    assert exporter.count < 2 * STEPS + 4
    said = [record for record in caplog.records if record.name == "resonate.telemetry"]
    assert len([record for record in said if "drops events" in record.getMessage()]) == 1


class BadSampler(Sampler):
    def should_sample(self, *_args: object, **_more: object):
        raise RuntimeError("no sampling today")

    def get_description(self) -> str:
        return "bad"


class BadTracer:
    def start_span(self, *_args: object, **_more: object):
        raise RuntimeError("no tracing today")


class BadProvider:
    def get_tracer(self, *_args: object, **_more: object):
        return BadTracer()

    def force_flush(self, _timeout: int) -> bool:
        raise RuntimeError("no flushing today")


@pytest.mark.parametrize("provider", [TracerProvider(BadSampler(), shutdown_on_exit=False), BadProvider()])
async def test_a_sampler_or_tracer_that_raises_is_told_of_once(provider, caplog):
    await run(telemetry=OTel(provider))
    said = [record for record in caplog.records if record.name == "resonate.telemetry"]
    assert 1 <= len(said) <= 2
    assert all("Executions go on" in record.getMessage() for record in said)


class BadHandler(logging.Handler):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.gate = threading.Event()
        self.lines: list[str] = []

    def handle(self, record: logging.LogRecord) -> bool:
        if "were dropped" in record.msg:
            time.sleep(0.2)
        self.lines.append(record.getMessage())
        match self.how:
            case "raises":
                raise RuntimeError("no logging today")
            case "blocks":
                assert self.gate.wait(60)
            case "slow":
                time.sleep(0.2)
        return True


@pytest.mark.parametrize("how", ["raises", "blocks", "slow"])
async def test_a_bad_log_handler_changes_neither_outcome_nor_pace(how, monkeypatch, capsys):
    monkeypatch.setattr(logs, "PATIENCE", 0.05)
    assert logs.flush(60)
    handler = BadHandler(how)
    logger = logging.getLogger("resonate")
    logger.addHandler(handler)

    async def flaky(info: Info) -> int:
        if info.attempt < 10:
            raise OSError("a line for each of these")
        return info.attempt

    @Resonate().register
    async def chatty(ctx: Context) -> int:
        for number in range(50):
            ctx.logger.warning("line %d", number)
        return await ctx.options(retry=Exponential(delay=0.001, factor=1)).run(flaky)

    try:
        async with Resonate() as client:
            client.register(chatty)
            since = time.perf_counter()
            assert await client.run("a", chatty) == 10
            assert time.perf_counter() - since < 59 * 0.2  # which it would be if each line were waited for
    finally:
        handler.gate.set()
        assert await asyncio.to_thread(logs.flush, 60)
        logger.removeHandler(handler)
    assert len(handler.lines) == 59
    if how == "raises":
        assert "no logging today" in capsys.readouterr().err


async def test_lines_that_find_no_room_are_dropped_counted_and_told_of(monkeypatch):
    monkeypatch.setattr(logs, "PATIENCE", 0.01)
    assert logs.flush(60)
    handler, logger, log = BadHandler("blocks"), logging.getLogger("resonate.test"), logs.Log("resonate.test")
    root = logging.getLogger("resonate")
    root.addHandler(handler)
    before = logs.dropped()
    try:
        for number in range(1_500):
            log.warning("line %d", number)
    finally:
        handler.gate.set()
        assert logs.flush(60)  # what tells of them is handled by then, too
        root.removeHandler(handler)
    assert logger.handlers == []
    dropped = logs.dropped() - before
    assert dropped == 500
    assert handler.lines[-1] == "500 log lines were dropped: a handler did not keep up."
