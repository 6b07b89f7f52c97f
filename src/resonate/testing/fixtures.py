"""What the pytest plugin's fixtures are made of.

Law 1: the client is opened and closed within the test's own call, on the test's own event loop, whatever runs the
test: no fixture here is asynchronous, so no plugin for those is needed.
Law 2: a test that fails by itself is not checked: its own failure comes first.
Law 3: an `async def` test has the asynchronous client, a `def` test the blocking one.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from textwrap import indent
from typing import Any, Final

import pytest
from attrs import define, field

from resonate import Resonate, UsageError
from resonate import sync as blocking
from resonate.core.engine.unheard import told
from resonate.core.trace import FailureUnheard, LifecycleEvent
from resonate.testing.conformance.subjects import load
from resonate.testing.harness import Harness
from resonate.testing.inside import HeldTime, closed, options_like, settings_of, share, take_over
from resonate.testing.leaks import left_over, tasks_before, tasks_left, threads_left, unfinished
from resonate.testing.replaying import replay
from resonate.testing.replaying.snapshots import recordings_of
from resonate.wiring import Settings

OWN_OPTIONS: Final = frozenset({"leaks", "unfinished", "unheard", "replay"})
PATIENCE: Final = 1.0
"""Real seconds for what is going on to come to rest."""
HOW_TO_ALLOW: Final = "Let it end, or cancel it; or allow it: @pytest.mark.resonate(unfinished=True)."


HOW_TO_ALLOW_UNHEARD: Final = "Or allow it: @pytest.mark.resonate(unheard=True)."


@define
class Unheard:
    """A tracer: collects what failed in a workflow that never asked for it."""

    found: list[str] = field(factory=list[str])

    def record(self, event: LifecycleEvent) -> None:
        """Keep it, if that is what it is."""
        if isinstance(event, FailureUnheard):
            self.found.append(told(event))


@define
class Checks:
    """What is checked when a test has passed.

    Args:
        leaks: whether it may leave nothing behind.
        unfinished: whether executions may be left that are not over.
        unheard: whether calls may fail that their workflow never awaits.
        replay: `end`, `always` or `off`.
    """

    leaks: bool = True
    unfinished: bool = False
    unheard: bool = False
    replay: str = "end"


@define
class Case:
    """One test's system: a harness, a first client, and what is checked at the end."""

    harness: Harness
    checks: Checks
    options: dict[str, Any]
    unheard: Unheard = field(factory=Unheard)
    app: Settings | None = None
    client: Resonate | None = None
    twin: blocking.Resonate | None = None
    others: list[blocking.Resonate] = field(factory=list[blocking.Resonate])
    held: HeldTime | None = None
    crashed: bool = False

    def with_(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a client that has some of its own."""
        given = {**self.options, **options}
        given["tracers"] = (*given.get("tracers", ()), self.unheard)
        return given

    def make(self, **options: Any) -> Resonate:
        """Return the first client, not open yet."""
        self.client = self.harness.client(**self.with_(options))
        if self.app is not None:
            take_over(self.client, self.app)
        return self.client

    def make_blocking(self) -> blocking.Resonate:
        """Return the first client of a `def` test, not open yet."""
        self.twin = blocking.Resonate(self.harness.backend, clock=self.harness.clock, **self.with_({}))
        if self.app is not None:
            take_over(self.twin, self.app)
        return self.twin

    # ------------------------------------------------------------ the test's own call

    def around(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """Return the test with its system around it."""
        if inspect.iscoroutinefunction(test):

            @functools.wraps(test)
            async def played(*args: Any, **kwargs: Any) -> None:
                await self._play(functools.partial(test, *args, **kwargs))

            return played

        @functools.wraps(test)
        def done(*args: Any, **kwargs: Any) -> None:
            self._do(functools.partial(test, *args, **kwargs))

        return done

    async def _play(self, test: Callable[[], Any]) -> None:
        _check_runs_on_asyncio()
        assert self.client is not None
        before, threads = tasks_before(), threading.enumerate()
        async with self.harness as harness:
            await harness.open(self.client)
            await test()
            await _within_patience(harness.clock.advance(0))
            found = self._look()
            if self.checks.leaks and not found:
                await self._close(harness)
                found = await tasks_left(before)
                found += [] if self.crashed else threads_left(threads)
        _report(found)

    async def _close(self, harness: Harness) -> None:
        for client in harness.opened:
            await _within_patience(client.__aexit__(None, None, None))

    def _do(self, test: Callable[[], Any]) -> None:
        assert self.twin is not None
        threads = threading.enumerate()
        self.twin.open()
        try:
            with HeldTime(self.harness.clock) as self.held:
                call = self.held.add(self.twin)
                test()
                with suppress(TimeoutError):
                    call(functools.partial(self.harness.clock.advance, 0), PATIENCE)
                found = self._look()
                if self.checks.leaks and not found:
                    for client in (*self.others, self.twin):
                        found += closed(client, _within_patience, functools.partial(tasks_left, ours=False)) or []
        finally:
            for client in (*self.others, self.twin):
                client.close()
        if self.checks.leaks:
            found += threads_left(threads)
        _report(found)

    # ------------------------------------------------------------ checks

    def _look(self) -> list[str]:
        snapshot = self.harness.snapshot()
        found: list[str] = []
        if self.checks.replay != "off":
            found += self._replays()
        if self.checks.leaks:
            open_ = [] if self.checks.unfinished else unfinished(snapshot)
            found += [*open_, *([HOW_TO_ALLOW] if open_ else []), *left_over(snapshot)]
            lost = [] if self.checks.unheard else self.unheard.found
            found += [*lost, *([HOW_TO_ALLOW_UNHEARD] if lost else [])]
        return found

    def _replays(self) -> list[str]:
        client: Resonate | blocking.Resonate | None = self.client or self.twin
        assert client is not None
        registered = settings_of(client).registry.names()
        found: list[str] = []
        for recording in recordings_of(self.harness.snapshot()):
            if recording.function.partition("@")[0] in registered:
                verdict = replay(recording, client)
                if not verdict.agrees:
                    found.append(f"a replay does not do the same: {verdict}")
        return found


@define
class Workers:
    """Starts more workers on the system of a test: `other = await worker()`.

    They share the functions and dependencies of the fixture `resonate`, and are closed at the test's end.
    """

    case: Case

    async def __call__(self, **options: Any) -> Resonate:
        """Return another worker, open; the options are those of `Resonate`, such as `group`."""
        case = self.case
        assert case.client is not None
        other = case.harness.client(**case.with_(options))
        share(other, case.client)
        return await case.harness.open(other)

    async def crash(self, client: Resonate) -> None:
        """Drop a worker, or `resonate` itself, where it stands, as a SIGKILL would: its leases lapse."""
        self.case.crashed = True
        await self.case.harness.crash(client)


@define
class BlockingWorkers:
    """Starts more workers on the system of a `def` test: `other = worker()`."""

    case: Case

    def __call__(self, **options: Any) -> blocking.Resonate:
        """Return another worker, open."""
        case = self.case
        assert case.twin is not None
        other = blocking.Resonate(case.harness.backend, clock=case.harness.clock, **case.with_(options))
        share(other, case.twin)
        other.open()
        case.others.append(other)
        if case.held is not None:
            case.held.add(other)
        return other


def system(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Make the system of a test, and put it around the test's call."""
    item: Any = request.node
    if not isinstance(item, pytest.Function):
        raise UsageError("The fixture resonate belongs to one test.", hint="Ask for it in a fixture of function scope.")
    marked: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("resonate"))):
        marked.update(mark.kwargs)
    app = _app(request)
    checks = _checks(request.config, marked)
    options = {} if app is None else options_like(app)
    options.update({name: value for name, value in marked.items() if name not in OWN_OPTIONS})
    if checks.replay == "always":
        options["continuations"] = 0
    case = Case(harness=Harness(), checks=checks, options=options, app=app)
    test = item.obj
    if inspect.iscoroutinefunction(test):
        case.make()
    else:
        case.make_blocking()
    item.obj = case.around(test)
    try:
        yield case
    finally:
        item.obj = test


def _checks(config: pytest.Config, marked: dict[str, Any]) -> Checks:
    replays = marked.get("replay") or config.getoption("--resonate-replay") or config.getini("resonate_replay")
    if replays not in {"end", "always", "off"}:
        raise pytest.UsageError(f"resonate_replay is end, always or off, not {replays!r}.")
    leaks = marked.get("leaks", config.getini("resonate_leaks") and not config.getoption("--resonate-no-leaks"))
    return Checks(
        leaks=bool(leaks),
        unfinished=bool(marked.get("unfinished", False)),
        unheard=bool(marked.get("unheard", False)),
        replay=str(replays),
    )


def _app(request: pytest.FixtureRequest) -> Settings | None:
    """Return the settings of the client whose functions are tested: the fixture `resonate_app`, or what is named."""
    found: Any = request.getfixturevalue("resonate_app")
    if found is None:
        return None
    if not isinstance(found, Resonate | blocking.Resonate):
        raise UsageError(f"resonate_app is a client (Resonate), not {type(found).__name__}.")
    return settings_of(found)


def named_app(config: pytest.Config) -> Any:
    """Return the client that `--resonate-app`, or pytest's configuration, names; None if neither does."""
    given: str = config.getoption("--resonate-app") or config.getini("resonate_app")
    return load(given, "--resonate-app") if given else None


async def _within_patience(work: Coroutine[Any, Any, None]) -> None:
    """Do it, or give it up: a step that never ends holds virtual time back, and it is what is to be told."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await work


def _check_runs_on_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "Resonate runs on asyncio, and this test does not.",
            hint='With anyio, let the fixture anyio_backend return "asyncio".',
        ) from None


def _report(found: list[str]) -> None:
    if found:
        text = "\n".join(indent(line, "  ") for line in found)
        pytest.fail(f"resonate: when the test was over,\n{text}", pytrace=False)
