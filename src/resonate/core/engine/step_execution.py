"""An execution whose function is a step: it is run, and its outcome is the task's. No history, no suspension."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ParamSpec, assert_never

from resonate.core import trace
from resonate.core.engine import commands as do
from resonate.core.engine.environment import Environment
from resonate.core.engine.loop import CancelledError
from resonate.core.engine.outcome import placed
from resonate.core.engine.tries import NO_FAILURES, Failures, with_failures
from resonate.core.function import Function
from resonate.core.protocol.records import PromiseRecord, PromiseState, Value
from resonate.core.protocol.requests import PromiseSettle
from resonate.core.values import Call, is_plain_call, recorded_call
from resonate.errors import CodecError, PromiseTimedOut

P = ParamSpec("P")


class StepExecution:
    """Speaks to its driver like `Execution`; see there for the arguments."""

    def __init__(self, env: Environment, promise: PromiseRecord, function: Function, call: Call) -> None:
        self.env = env
        self.id = promise.id
        self.promise = promise
        self.function = function
        self.call = call

    def start(self, now: int) -> list[do.Command]:
        """Ask for the step to be run."""
        del now
        self._emit(trace.Spawn, self.id)
        signature = self.function.signature
        reread = partial(recorded_call, self.env.codec, self.promise, signature)
        return [
            do.RunStep(
                id=self.id,
                function=self.function,
                args=self.call.args,
                kwargs=self.call.kwargs,
                retry=self.function.retry or self.env.step_retry,
                deadline=self.promise.timeout_at,
                reread=None if is_plain_call(self.call, signature, self.env.plain) else reread,
            ),
            do.Wake(self.promise.timeout_at),
        ]

    def step(self, events: Sequence[do.Event], now: int) -> list[do.Command]:
        """Take the step's outcome and fulfil the task with it; past the deadline, interrupt it."""
        for event in events:
            match event:
                case do.StepReturned():
                    return [self._returned(event.value, event.failures)]
                case do.StepFailed():
                    return [self._failed(event.error, event.failures)]
                case do.PromiseKnown() | do.WriteRefused():
                    continue  # nothing else was asked for
                case _:
                    assert_never(event)
        if now >= self.promise.timeout_at:
            late = PromiseTimedOut(f"The step {self.function.name} passed its deadline.", step=self.id)
            return [do.CancelStep(self.id), self._failed(late)]
        return []

    def suspended(self) -> None:
        """Never called: a step is not suspended."""

    def resume(self, promise: PromiseRecord, news: Iterable[PromiseRecord], version: int, now: int) -> list[do.Command]:
        """Run the step again: there is nothing to go on from."""
        del news, version
        self.promise = promise
        return self.start(now)

    def close(self) -> None:
        """Nothing is kept."""

    def _returned(self, value: object, failures: Failures) -> do.Fulfill:
        try:
            encoded = self.env.codec.encode(value, self.function.signature.returns, at=self.id)
        except CodecError as error:
            placed(error, f"the result of {self.function.name}", execution=self.id, step=self.id)
            self._emit(trace.CodecFailed, id=self.id, path=getattr(error, "path", ""), message=str(error))
            return self._failed(error)
        return self._fulfill(PromiseState.RESOLVED, with_failures(encoded, failures))

    def _failed(self, error: BaseException, failures: Failures = NO_FAILURES) -> do.Fulfill:
        state = PromiseState.REJECTED_CANCELED if isinstance(error, CancelledError) else PromiseState.REJECTED
        return self._fulfill(state, with_failures(self.env.codec.encode_error(error, at=self.id), failures))

    def _fulfill(self, state: PromiseState, value: Value) -> do.Fulfill:
        self._emit(trace.Return, self.id, state)
        return do.Fulfill(PromiseSettle(id=self.id, state=state, value=value))

    def _emit(self, event: Callable[P, trace.LifecycleEvent], *args: P.args, **kwargs: P.kwargs) -> None:
        if self.env.observe is not None:  # else none is made
            self.env.observe(event(*args, **kwargs))
