"""What log lines say beside their text, and that they are handled before the call that wrote them returns."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings

import pytest
from opentelemetry.sdk.trace import TracerProvider

from resonate import Constant, Context, Info, OTel, logs
from resonate.testing import Harness


def said(caplog, text: str) -> logging.LogRecord:
    [record] = [record for record in caplog.records if text in record.getMessage()]
    return record


@pytest.fixture(params=[1000, 0], ids=["parked", "replayed"])
async def harness(request):
    async with Harness(continuations=request.param) as harness:
        yield harness


async def test_lines_say_what_they_are_of(harness, caplog):
    caplog.set_level(logging.INFO)
    own = logging.getLogger("shop")

    def flaky(info: Info) -> None:
        own.info("a line of the step's own")
        if info.attempt < 2:
            raise OSError("the line is bad")

    async def inner(ctx: Context) -> None:
        ctx.logger.info("within")
        await ctx.options(retry=Constant(delay=1)).run(flaky)

    client = await harness.open(harness.client())

    @client.register(name="order", version=3)
    async def order(ctx: Context) -> None:
        ctx.logger.info("first")
        await ctx.sleep(60)
        ctx.logger.info("second", extra={"cents": 1999})
        await ctx.run(inner)

    await client.run("a", order)
    facts = {"resonate_execution": "a", "resonate_id": "a", "resonate_function": "order", "resonate_version": 3}
    for text, attempt in (("first", 1), ("second", 2)):
        told = vars(said(caplog, text))
        assert told.items() >= {**facts, "resonate_attempt": attempt}.items()
        assert told["name"] == "resonate.workflow.order"
        assert told["filename"] == "test_logs.py"
    assert said(caplog, "second").cents == 1999
    assert vars(said(caplog, "within")).items() >= {"resonate_id": "a:2", "resonate_function": "inner"}.items()
    retry = vars(said(caplog, "the line is bad"))
    wanted = {"resonate_execution": "a", "resonate_step": "a:2.1", "resonate_function": "flaky", "resonate_version": 1}
    assert retry.items() >= wanted.items()
    assert "resonate_step" not in vars(caplog.records[0])


async def test_a_filter_lets_lines_of_any_logger_say_so(harness, caplog):
    caplog.set_level(logging.INFO)
    caplog.handler.addFilter(located := logs.Located())

    def step() -> None:
        logging.getLogger("shop").info("packed")

    client = await harness.open(harness.client())

    @client.register
    async def order(ctx: Context) -> None:
        await ctx.run(step)

    try:
        await client.run("a", order)
        logging.getLogger("shop").info("outside")
    finally:
        caplog.handler.removeFilter(located)
    assert said(caplog, "packed").resonate_step == "a:1"
    assert not hasattr(said(caplog, "outside"), "resonate_step")


async def test_lines_carry_the_current_span(harness, caplog):
    caplog.set_level(logging.INFO)
    client = await harness.open(harness.client(telemetry=OTel(TracerProvider(shutdown_on_exit=False))))

    def fails(info: Info) -> None:
        if info.attempt < 2:
            raise OSError("bad")

    @client.register
    async def order(ctx: Context) -> None:
        ctx.logger.info("first")
        await ctx.options(retry=Constant(delay=1)).run(fails)

    await client.run("a", order)
    record = said(caplog, "first")
    assert len(record.otelTraceID) == 32
    assert len(record.otelSpanID) == 16
    assert record.otelTraceSampled is True


async def test_a_lost_lease_is_no_more_than_information(harness, caplog):
    caplog.set_level(logging.INFO)
    one = await harness.open(harness.client(pid="one"))

    @one.register
    async def waits(ctx: Context) -> None:
        await ctx.run(never)

    async def never() -> None:
        await (await harness.open(harness.client(group="else"))).cancel("a")
        await harness.clock.sleep_until(harness.clock.now() + 10**6)

    with pytest.raises(Exception, match="cancel"):
        await one.run("a", waits)
    await harness.clock.advance(1)
    record = said(caplog, "no longer held here")
    assert record.levelno == logging.INFO
    assert record.resonate_execution == "a"


def test_a_line_is_handled_when_the_call_that_wrote_it_returns():
    seen: list[tuple[str, str]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), threading.current_thread().name))
            if record.getMessage() == "one":
                log.warning("from the handler")

    handler, logger, log = Handler(), logging.getLogger("resonate.test"), logs.Log("resonate.test")
    logger.addHandler(handler)
    try:
        log.warning("one")
        log.debug("not wanted")
        assert seen == [("one", "resonate-logs"), ("from the handler", "resonate-logs")]
    finally:
        logger.removeHandler(handler)
    assert logs.flush(60)


class Slow(logging.Handler):
    """Takes a while for each line."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(0.05)
        self.lines.append(record.getMessage())


class TooLate(threading.Event):
    """Whoever waits is woken after the line was handled, and not before his patience has ended."""

    def wait(self, timeout: float | None = None) -> bool:
        super().wait()
        time.sleep(0.05)  # the thread goes to sleep
        return timeout is None


def test_a_line_is_waited_for_though_the_one_before_was_given_up_just_when_it_was_handled(monkeypatch):
    lines: list[str] = []
    handler, logger, log = Slow(lines), logging.getLogger("resonate.test"), logs.Log("resonate.test")
    logger.addHandler(handler)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(threading, "Event", TooLate)
            log.warning("one")
        log.warning("two")
        assert lines == ["one", "two"]
    finally:
        logger.removeHandler(handler)


def test_a_forked_process_logs_by_a_thread_of_its_own():
    logs.Log("resonate.test").warning("the thread is there")
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads: that is the point
        child = os.fork()
    if child == 0:
        handler = logging.StreamHandler(os.fdopen(write, "w"))
        logger = logging.getLogger("resonate.test")
        logger.addHandler(handler)
        logs.Log("resonate.test").warning("from the child")
        handler.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "from the child\n"
    os.waitpid(child, 0)


@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), ValueError("no")])
def test_a_handler_that_raises_anything_ends_nothing(raised, capsys):
    heard: list[str] = []

    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())
            raise raised

    logger, handler = logging.getLogger("resonate.raises"), Raises()
    logger.addHandler(handler)
    try:
        for number in range(3):
            logs.Log("resonate.raises").warning("line %d", number)
        assert logs.flush(60)
    finally:
        logger.removeHandler(handler)
    assert heard == ["line 0", "line 1", "line 2"]
    assert "A log handler failed" in capsys.readouterr().err
