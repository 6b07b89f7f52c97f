"""Runs steps: `async def` on the event loop, `def` in a bounded pool of threads, each with its retries."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from resonate.core.engine.commands import Event, RunStep, StepFailed, StepReturned
from resonate.core.engine.environment import Dependencies
from resonate.core.engine.info import Info
from resonate.core.engine.tries import NO_FAILURES, Failure, Failures
from resonate.core.function import ASYNC
from resonate.core.insight.picture import Retrying
from resonate.core.insight.words import span
from resonate.core.payload import brief
from resonate.core.raised import message_of, titled
from resonate.core.retry import RetryPolicy, before_deadline
from resonate.core.trace import LifecycleEvent, RetryScheduled, StepFinished, StepOutcome, StepStarted
from resonate.errors import UsageError
from resonate.idle import ShortWaits, is_idle
from resonate.logs import Log, know
from resonate.ports.clock import Clock
from resonate.runtime.interrupts import claim, ends_the_process
from resonate.runtime.threads import Call, Pool

log = Log("resonate.steps")

News: TypeAlias = Callable[[str], Awaitable[Event | None]]
"""Tells the event that ends a step of this id from outside, if there is one."""
_SHORT: Final = 0.000_25
"""Seconds: two or three times what a thread takes to begin a call and to tell its end on a virtual machine."""


@frozen
class Running:
    """A call of a `def` step: the execution that it is part of, the step's id and its function's name."""

    execution: str
    step: str
    function: str


@frozen(kw_only=True)
class Steps:
    """Runs one step at a time for whoever calls; any number of calls may be under way.

    Args:
        clock: tells deadlines and waits between attempts.
        pool: runs `def` steps.
        dependencies: what steps may ask for.
        draw: gives numbers from 0 to 1, for jitter.
        observe: hears of attempts and retries, or None.
        around: surrounds each attempt (execution id, promise id), or None.
    """

    clock: Clock
    pool: Pool
    dependencies: Dependencies
    draw: Callable[[], float]
    observe: Callable[[LifecycleEvent], None] | None = None
    around: Callable[[str, str], AbstractContextManager[object]] | None = None
    retrying: dict[str, Retrying] = field(factory=dict[str, Retrying], init=False, eq=False)
    """Steps that wait for their next attempt, and those under way that have failed before; for who asks why."""
    _short: ShortWaits = field(factory=lambda: ShortWaits(_SHORT), init=False, eq=False)
    _awaited: set[Call[Any]] = field(factory=set["Call[Any]"], init=False, eq=False)
    """Those that somebody waits for, in whatever way."""
    _going_on: dict[Call[Any], Running] = field(factory=dict["Call[Any]", "Running"], init=False, eq=False)

    def tell_what_goes_on(self) -> None:
        """Warn of each `def` step that was interrupted, and whose thread goes on all the same."""
        for running in tuple(self._going_on.values()):
            log.warning(
                "The step %s (%s) of the execution %s still runs in its thread. It can't be stopped: its result will "
                "be dropped, and it ends with the process, if not before. The step is run again where the execution "
                "goes on.",
                running.step,
                running.function,
                running.execution,
            )

    async def run(self, command: RunStep, execution: str, news: News | None = None) -> Event:
        """Run the step until it returns or has no attempt left, and return the event that says so.

        `news` is awaited before each further attempt: what it returns ends the step in its place, None lets it go on.
        Cancelling the caller interrupts an `async def` step at its next await; a `def` step that runs
        already can't be interrupted: its thread goes on and its result is dropped.

        Called in a task of its own, whose log lines then say which step they are of.
        """
        know(lambda: _facts(command, execution))
        failed = NO_FAILURES
        try:
            while True:
                started = 0 if self.observe is None else self._started(command, failed.count + 1)
                try:
                    if self.around is None:
                        value = await self._attempt(command, execution, failed.count + 1)
                    else:
                        with self.around(execution, command.id):
                            value = await self._attempt(command, execution, failed.count + 1)
                except asyncio.CancelledError as error:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        self._finished(command, "interrupted", started)
                        raise
                    self._finished(command, "rejected", started)
                    return StepFailed(command.id, error, failed)  # the step canceled itself
                except BaseException as error:  # whatever a step raises is its outcome
                    if ends_the_process(error):
                        _tell_of_interrupt(error, command, execution)
                        raise
                    try:
                        again = self._next_try(command, error, failed)
                    except Exception as broken:  # noqa: BLE001 - a user's policy raises what it likes
                        self._finished(command, "rejected", started)
                        return StepFailed(command.id, _policy_failed(command.retry, broken, error), failed)
                    if again is None:
                        self._finished(command, "rejected", started)
                        return StepFailed(command.id, error, failed)
                    self._finished(command, "failed", started)
                    failed = failed.more(again)
                    await self._wait_for_next_try(command, failed)
                    if news is not None and (event := await news(command.id)) is not None:
                        return event
                else:
                    if self.observe is not None:
                        self._finished(command, "resolved", started)
                    return StepReturned(command.id, value, failed)
        finally:
            if failed.count:
                self.retrying.pop(command.id, None)

    def _next_try(self, command: RunStep, error: BaseException, failed: Failures) -> Failure | None:
        """Return the failure that is to be followed by another try, None if there is none."""
        if not isinstance(error, Exception):
            return None  # SystemExit and its like: meant to be final
        delay, now = command.retry.next_delay(failed.count + 1, error, self.draw()), self.clock.now()
        if delay is None or not before_deadline(delay, now, command.deadline):
            return None
        return Failure(now, type(error).__name__, message_of(error), delay)

    async def _wait_for_next_try(self, command: RunStep, failed: Failures) -> None:
        last = failed.last[-1]
        error = brief(f"{last.error}: {last.message}")
        log.warning(
            "The step %s (%s) failed with %s. That was attempt %d; the next is in %s.",
            command.id,
            command.function.name,
            error,
            failed.count,
            span(last.delay_ms),
        )
        if self.observe is not None:
            self.observe(
                RetryScheduled(
                    id=command.id,
                    failures=failed.count,
                    delay_ms=last.delay_ms,
                    error=last.error,
                    function=command.function.name,
                )
            )
        again = last.at + last.delay_ms
        self.retrying[command.id] = Retrying(failed.count, error, again)
        await self.clock.sleep_until(again)

    def _attempt(self, command: RunStep, execution: str, attempt: int) -> Awaitable[Any]:
        function = command.function
        args, kwargs = self._arguments(command, execution, attempt)
        if function.form is ASYNC:
            called: Awaitable[Any] = function.fn(*args, **kwargs)
            return called
        call = partial(contextvars.copy_context().run, function.fn, *args, **kwargs)
        return self._in_thread(call, command, execution)

    def _arguments(
        self, command: RunStep, execution: str, attempt: int
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        """Return what a try calls the step with: what was recorded, behind an `Info` if it asks for one."""
        args, kwargs = command.args, command.kwargs
        if attempt > 1 and command.reread is not None:
            recorded = command.reread()
            args, kwargs = recorded.args, recorded.kwargs
        if command.function.takes_info:
            args = (self._info(command, execution, attempt), *args)
        return args, kwargs

    def _info(self, command: RunStep, execution: str, attempt: int) -> Info:
        """Return what a step that asks for it is told of itself."""
        return Info(
            id=command.id,
            execution=execution,
            function=command.function.name,
            version=command.function.version,
            attempt=attempt,
            timeout_at=command.deadline,
            dependencies=self.dependencies,
        )

    async def _in_thread(self, fn: Callable[[], Any], command: RunStep, execution: str) -> Any:
        """Call `fn` in the pool, and return what it returns or raise what it raises."""
        loop, awaited = asyncio.get_running_loop(), self._awaited
        with self.clock.busy():
            call = self.pool.submit(partial(_called, fn))
            awaited.add(call)
            try:
                if not (len(awaited) == 1 and is_idle(loop) and self._short.wait(call.wait)):
                    await _end_of(call, loop)
            finally:
                awaited.discard(call)
                if not call.is_over:
                    self._leave(call, Running(execution, command.id, command.function.name))
        try:
            return call.result()
        finally:
            del call  # else what was raised would lead back to itself

    def _leave(self, call: Call[Any], running: Running) -> None:
        """Let go of a step that was interrupted: one that has not begun does not begin, another goes on."""
        if not call.cancel():
            self._going_on[call] = running
            call.tell(self._gone)

    def _gone(self, call: Call[Any]) -> None:
        _ = self._going_on.pop(call, None)

    def _started(self, command: RunStep, attempt: int) -> int:
        if self.observe is not None:
            self.observe(StepStarted(command.id, attempt))
        return self.clock.now()

    def _finished(self, command: RunStep, outcome: StepOutcome, started: int) -> None:
        if self.observe is not None:
            taken, function = self.clock.now() - started, command.function.name
            self.observe(StepFinished(id=command.id, outcome=outcome, duration_ms=taken, function=function))


def _tell_of_interrupt(error: BaseException, command: RunStep, execution: str) -> None:
    if isinstance(error, KeyboardInterrupt):
        log.warning(
            "The step %s (%s) of the execution %s was interrupted from the keyboard, or has raised KeyboardInterrupt: "
            "the event loop ends. The step is run again where the execution goes on.",
            command.id,
            command.function.name,
            execution,
        )


def _policy_failed(retry: RetryPolicy, broken: Exception, error: BaseException) -> UsageError:
    """Return what a step fails with whose retry policy can't say whether to try again."""
    failed = UsageError(
        f"The retry policy {type(retry).__name__} failed with {titled(broken)}, asked about a step that had failed "
        f"with {titled(error)}.",
        hint="next_delay(failures, error, draw) returns the ms to wait, or None to give up.",
    )
    failed.__cause__ = broken
    return failed


def _facts(command: RunStep, execution: str) -> dict[str, object]:
    function = command.function
    return {"execution": execution, "step": command.id, "function": function.name, "version": function.version}


def _called(fn: Callable[[], Any]) -> Any:
    """Call, in the pool; what it raises is the step's, whatever that is."""
    try:
        return fn()
    except (StopIteration, GeneratorExit) as stop:  # what awaits it would not take it for a failure
        msg = f"The step raised {type(stop).__name__}({stop})."
        raise RuntimeError(msg) from stop
    except BaseException as raised:
        claim(raised)
        raise


def _end_of(call: Call[Any], loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """Return what is done once the call is over, and the pool has its thread back."""
    over: asyncio.Future[None] = loop.create_future()

    def tell(_call: Call[Any]) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(_complete, over)

    call.tell(tell)
    return over


def _complete(over: asyncio.Future[None]) -> None:
    if not over.done():  # interrupted meanwhile
        over.set_result(None)
