"""What users call: `simulate` and `crash_everywhere`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import EllipsisType
from typing import Any, Final

from attrs import define, evolve, field

from resonate.client import Resonate
from resonate.core.durations import Duration, milliseconds
from resonate.errors import UsageError
from resonate.testing.simulation.cluster import Cluster, Function, Outcome, Outside, Run, Scenario
from resonate.testing.simulation.failure import SimulationFailed
from resonate.testing.simulation.faults import Fault, Faults, Kind, Plan
from resonate.testing.simulation.oracles import Finding
from resonate.testing.simulation.shrink import shrink
from resonate.testing.simulation.timeline import Listener

LOGGER: Final = logging.getLogger("resonate")
NOTHING: Final = Plan()
SOON_MS: Final = 12
"""A request and its reply have arrived by then, most often."""
SAME: Final = "as without faults"
_RESULT: Final = "the result is as without faults"
_INVARIANT: Final = "the invariant"


@define
class Report:
    """What was simulated.

    Args:
        workflow: what it is called.
        runs: how many runs there were.
        faults: how many faults of each kind there were in them.
        virtual_ms: how much virtual time went by.
        requests: how many requests were sent to the server.
        actions: how many steps the server did; each was checked.
        ran: how often each step really ran.
        result: what the workflow returns.
    """

    workflow: str
    runs: int = 0
    faults: Counter[str] = field(factory=Counter[str])
    virtual_ms: int = 0
    requests: int = 0
    actions: int = 0
    ran: Counter[Function] = field(factory=Counter[Function])
    result: Any = None

    def runs_of(self, step: Function) -> int:
        """Return how often a step really ran, in all runs, all attempts counted."""
        return self.ran[step]

    def add(self, run: Run) -> None:
        """Count a run."""
        self.runs += 1
        self.faults.update(fault.kind.value for fault in run.faults.faults)
        self.virtual_ms += run.duration_ms
        self.requests += run.requests
        self.actions += run.actions
        self.ran.update(run.ran)

    def __str__(self) -> str:
        """Tell it in a few lines."""
        faults = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.faults.items())) or "none"
        steps = ", ".join(f"{step.__name__} {count:,}" for step, count in self.ran.items()) or "none"
        return (
            f"{self.workflow}: {self.runs:,} runs, all well. {self.requests:,} requests, {self.actions:,} steps of the"
            f" server checked, {timedelta(milliseconds=self.virtual_ms)} of virtual time.\n"
            f"  faults: {faults}\n  steps that ran: {steps}"
        )


def simulate(
    workflow: Function,
    /,
    *args: Any,
    seeds: int | Iterable[int] = 1_000,
    seed: int | None = None,
    faults: Faults | Plan | str | None = None,
    app: Resonate | None = None,
    register: Iterable[Function] = (),
    upgrade: Iterable[Function] = (),
    stubs: Mapping[Function, Any] | None = None,
    dependencies: Mapping[Any, Any] | None = None,
    groups: Mapping[str, Iterable[Function]] | None = None,
    outside: Outside | None = None,
    before: Callable[[], object] | None = None,
    invariant: Callable[[Run], object] | None = None,
    result: object = SAME,
    workers: int = 2,
    within: Duration = timedelta(hours=1),
    options: Mapping[str, Any] | None = None,
    record: bool = False,
    shrinks: bool = True,
    **kwargs: Any,
) -> Report:
    """Run a workflow many times in a world where everything goes wrong, and see that nothing comes of it.

    Each run has a server, some workers, and a caller, in one thread and on virtual time. What happens in it, and what
    goes wrong, is drawn from its seed: the same seed is the same run. Raise `SimulationFailed` for the first run that
    goes wrong, with the fewest faults with which it still does, a timeline, and the line that repeats it.

    A run is right if the workflow comes to its end within bounded time once nothing goes wrong any more; if it returns
    what it does without faults (and there it may not fail, unless `result` says so); if nothing is left behind; if
    `invariant` holds; and if at no time a rule of the protocol, or a law of the engine, was broken.

    Args:
        workflow: what is run; steps and workflows that it calls by `ctx.run` need not be named.
        args: its arguments.
        seeds: how many runs, or the seeds of the runs.
        seed: the seed of a single run.
        faults: what goes wrong; `Faults.all()` by default. The text of a failure's replay line is read, too.
        app: a client whose functions, dependencies and codec the workers have; it need not be open.
        register: what else is registered on each worker: what is called by `ctx.rpc`, or by name.
        upgrade: what is registered as version 2 on workers that are started after a deploy.
        stubs: what is called in place of a step, or the value that it returns.
        dependencies: what functions get by `get_dependency`.
        groups: what is registered on the workers of other groups, by the name of the group.
        outside: runs beside, as a program to which nothing happens: it settles promises, sends signals.
        before: is called before each run: it clears what the last one left in the test's own variables.
        invariant: is called with each `Run` at its end; it raises, or returns False, if something is wrong.
        result: what the workflow is to return; a function that says whether a value is right; or `...` for whatever it
            returns or raises, if that depends on timing, or if it is to fail.
        workers: how many.
        within: how long it may take to settle after the last fault, beyond twice what it takes without any.
        options: of each client: see `Resonate`.
        record: keep the timeline of each run for `invariant` to see; that of a failure is there anyway.
        shrinks: look for the fewest faults with which a run goes wrong, which takes some hundred runs.
        kwargs: the workflow's own.
    """
    chosen = _faults(faults)
    scenario = Scenario(
        fn=workflow,
        args=args,
        kwargs=kwargs,
        app=app,
        register=tuple(register),
        upgrade=tuple(upgrade),
        stubs={step: _stub(stub) for step, stub in (stubs or {}).items()},
        dependencies=dependencies or {},
        groups={group: tuple(functions) for group, functions in (groups or {}).items()},
        outside=outside,
        before=before,
        workers=workers,
        within_ms=milliseconds(within, "within"),
        options=options or {},
    )
    report = Report(scenario.name)
    judge = _Judge(scenario, result, invariant)
    with _silence():
        judge.begin()
        report.result = judge.expected.value if judge.expected is not None else None
        for one in _seeds(seeds, seed):
            for plan in _everywhere(judge, one) if isinstance(chosen, _Everywhere) else (chosen,):
                run = judge.run(one, plan, record=record)
                report.add(run)
                if run.findings:
                    raise judge.failure(one, run, shrinks=shrinks)
    return report


def crash_everywhere(workflow: Function, /, *args: Any, seed: int = 0, **settings: Any) -> Report:
    """Kill whoever sends a request, before and after each request of a run in turn, and see that nothing comes of it.

    Takes what `simulate` takes, but for `seeds` and `faults`, and fails as it does.
    """
    return simulate(workflow, *args, seed=seed, faults=_EVERYWHERE, **settings)


class _Everywhere(Faults):
    """A kill at each request of a run in turn."""


_EVERYWHERE: Final = _Everywhere()


def _everywhere(judge: _Judge, seed: int) -> Iterator[Plan]:
    for number in range(1, judge.run(seed, NOTHING).requests + 1):
        for ms in (-1, 0, SOON_MS):
            yield Plan((Fault(Kind.KILL, number, ms),))


@define
class _Judge:
    """Runs a scenario, and says what is wrong with a run."""

    scenario: Scenario
    result: object
    invariant: Callable[[Run], object] | None
    expected: Outcome | None = None

    def begin(self) -> None:
        """Run it once without faults, to know what is right. Raise `SimulationFailed` if that goes wrong."""
        run = self.run(0, NOTHING)
        outcome = run.outcome
        if not run.findings and self.result is SAME and outcome is not None and outcome.error is not None:
            run.findings.append(Finding(_RESULT, f"without any fault, the caller is given {outcome}"))
            raise self.failure(0, run, shrinks=False)
        if run.findings:
            raise self.failure(0, run)
        self.scenario = evolve(self.scenario, duration_ms=run.duration_ms)

    def run(self, seed: int, faults: Faults | Plan, *, record: bool = False) -> Run:
        """Run it once, and note in the run what is wrong with it."""
        cluster = Cluster(self.scenario, seed, faults, record=record)
        try:
            with _heard(cluster, logging.WARNING if record else logging.ERROR):
                run = cluster.play()
            if self.result is SAME and self.expected is None:
                self.expected = run.outcome
            self._judge(run)
        finally:
            cluster.close()
        return run

    def failure(self, seed: int, run: Run, *, shrinks: bool = True) -> SimulationFailed:
        """Return the error for a run that went wrong, with as few faults as it takes."""
        wrong = {finding.oracle for finding in run.findings}

        def fails(plan: Plan) -> bool:
            return bool(wrong & {finding.oracle for finding in self.run(seed, plan).findings})

        plan = run.faults
        shown = self.run(seed, plan, record=True)
        if wrong & {finding.oracle for finding in shown.findings}:
            plan = shrink(plan, fails) if shrinks else plan
            shown = self.run(seed, plan, record=True) if shrinks else shown
        else:
            shown = run
        named = f"simulate({', '.join([self.scenario.name, *map(repr, self.scenario.args)])}, ..."
        count = len(plan.faults)
        return SimulationFailed(
            f"{self.scenario.name} goes wrong with seed {seed} and {count} fault{'' if count == 1 else 's'}:"
            f" {shown.findings[0].text}.",
            seed=seed,
            faults=plan,
            run=shown,
            replay=f'{named}, seed={seed}, faults="{plan}")',
        )

    def _judge(self, run: Run) -> None:
        if run.outcome is not None:
            wrong = self._wrong(run.outcome)
            if wrong:
                run.findings.append(Finding(_RESULT, wrong))
        if self.invariant is not None and run.outcome is not None:
            try:
                if self.invariant(run) is False:
                    run.findings.append(Finding(_INVARIANT, "the invariant does not hold"))
            except Exception as error:  # noqa: BLE001 - whatever it raises says that it does not hold
                told = str(error) or type(error).__name__
                run.findings.append(Finding(_INVARIANT, f"the invariant does not hold: {told}"))

    def _wrong(self, outcome: Outcome) -> str | None:
        if isinstance(self.result, EllipsisType):
            return None
        if self.result is SAME:
            expected = self.expected or outcome
            told = f"the caller is given {outcome}, and {expected} without faults"
            return None if outcome.is_like(expected) else told
        if outcome.error is not None:
            return f"the caller is given {outcome}"
        right = self.result(outcome.value) if callable(self.result) else outcome.value == self.result
        return None if right else f"the caller is given {outcome}, which is not what was expected"


def _faults(faults: Any) -> Faults | Plan:
    match faults:
        case None:
            return Faults.all()
        case str():
            return Plan.parse(faults)
        case Faults() | Plan():
            return faults
        case _:
            msg = f"faults is Faults.all(), Faults(...), or the text of a replay line, not {faults!r}."
            raise UsageError(msg)


def _seeds(seeds: int | Iterable[int], seed: int | None) -> Iterable[int]:
    if seed is not None:
        return (seed,)
    return range(1, seeds + 1) if isinstance(seeds, int) else seeds


def _stub(stub: Any) -> Function:
    return stub if callable(stub) else lambda *_args, **_kwargs: stub


@contextmanager
def _silence() -> Generator[None]:
    """Let nothing be logged that a simulation does on purpose."""
    level, propagates = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(logging.CRITICAL + 1)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.setLevel(level)
        LOGGER.propagate = propagates


@contextmanager
def _heard(cluster: Cluster, level: int) -> Generator[None]:
    """Let a run hear of what is logged in it."""
    handler = Listener(cluster.logged)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
