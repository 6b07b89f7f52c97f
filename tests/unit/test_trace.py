import typing

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from resonate.core import trace as t
from resonate.core.protocol.records import PromiseState
from resonate.core.trace import Await, Block, Dedup, Resume, Return, Rpc, Run, Spawn, Suspend, violated
from resonate.ports.tracer import Tracer

DONE = PromiseState.RESOLVED
FAILED = PromiseState.REJECTED

CONFORMING = {
    "a body that only returns": [Spawn("p"), Return("p", DONE)],
    "a step": [
        Spawn("p"),
        Run("p", "q"),
        Spawn("q"),
        Await("p", "q"),
        Return("q", DONE),
        Resume("p", "q"),
        Return("p", DONE),
    ],
    "a call elsewhere": [Spawn("p"), Rpc("p", "q"), Block("q"), Await("p", "q"), Suspend("p")],
    "a replay": [
        *(Spawn("p"), Run("p", "q"), Dedup("q", FAILED), Await("p", "q"), Resume("p", "q")),
        *(Rpc("p", "r"), Dedup("r", DONE), Return("p", DONE)),
    ],
    "two waits at once": [
        *(Spawn("p"), Rpc("p", "q"), Rpc("p", "r"), Block("q"), Block("r"), Await("p", "q"), Await("p", "r")),
        *(Resume("p", "r"), Await("p", "r"), Resume("p", "q"), Resume("p", "r"), Return("p", DONE)),
    ],
    "one child for two calls": [
        *(Spawn("p"), Rpc("p", "q"), Block("q"), Rpc("p", "q"), Run("p", "r"), Spawn("r"), Run("p", "r")),
        *(Return("r", DONE), Return("p", DONE)),
    ],
    "a child that suspends with its parent": [
        *(Spawn("p"), Run("p", "q"), Spawn("q"), Await("p", "q"), Rpc("q", "r"), Block("r"), Await("q", "r")),
        *(Suspend("q"), Suspend("p")),
    ],
    "an attempt that goes on in place": [Spawn("p"), Resume("p", "q"), Return("p", DONE)],
}

VIOLATING = [
    ("unique_spawn", [Spawn("p"), Spawn("p"), Return("p", DONE)]),
    # Whoever lives twice also breaks the law that one of its lives is sole.
    ("exclusive_lifecycle dedup_sole", [Spawn("p"), Dedup("p", DONE), Return("p", DONE)]),
    ("exclusive_lifecycle block_sole", [Spawn("p"), Block("p"), Return("p", DONE)]),
    ("exclusive_lifecycle block_sole dedup_sole", [Spawn("p"), Return("p", DONE), Block("q"), Dedup("q", DONE)]),
    ("spawn_first", [Spawn("r"), Return("r", DONE), Resume("p", "q"), Spawn("p"), Return("p", DONE)]),
    ("terminal_last", [Spawn("p"), Return("p", DONE), Resume("p", "q")]),
    ("terminal_last", [Spawn("p"), Suspend("p"), Resume("p", "q")]),
    ("block_sole", [Spawn("p"), Return("p", DONE), Block("q"), Block("q")]),
    ("block_sole", [Spawn("p"), Return("p", DONE), Block("q"), Return("q", DONE)]),
    ("dedup_sole", [Spawn("p"), Return("p", DONE), Dedup("q", DONE), Dedup("q", DONE)]),
    ("dedup_sole", [Spawn("p"), Return("p", DONE), Resume("q", "r"), Dedup("q", DONE)]),
    ("unique_terminal", [Spawn("p")]),
    ("unique_terminal", [Spawn("p"), Return("p", DONE), Return("p", DONE)]),
    ("unique_terminal", [Spawn("p"), Suspend("p"), Return("p", DONE)]),
    ("unique_terminal", [Spawn("p"), Suspend("p"), Suspend("p"), Spawn("q")]),
    ("await_then_resume_or_suspend", [Spawn("p"), Await("p", "q"), Return("p", DONE)]),
    ("await_then_resume_or_suspend", [Spawn("p"), Await("p", "q"), Await("p", "q"), Suspend("p")]),
    ("await_then_resume_or_suspend", [Spawn("p"), Await("p", "q"), Resume("p", "r"), Return("p", DONE)]),
    ("await_then_resume_or_suspend", [Spawn("p"), Resume("p", "q"), Await("p", "q"), Return("p", DONE)]),
    ("await_then_resume_or_suspend", [Spawn("p"), Await("p", "q"), Spawn("r"), Suspend("r"), Return("p", DONE)]),
    ("run_has_callee", [Spawn("p"), Run("p", "q"), Return("p", DONE)]),
    ("run_has_callee", [Spawn("p"), Run("p", "q"), Block("q"), Return("p", DONE)]),
    ("rpc_has_callee", [Spawn("p"), Rpc("p", "q"), Return("p", DONE)]),
    ("rpc_has_callee", [Spawn("p"), Rpc("p", "q"), Spawn("q"), Return("q", DONE), Return("p", DONE)]),
    ("root_spawn", []),
    ("root_spawn", [Run("p", "q"), Dedup("q", DONE)]),
    ("root_spawn", [Dedup("p", DONE)]),
]


@pytest.mark.parametrize("trace", CONFORMING.values(), ids=CONFORMING)
def test_a_conforming_trace_breaks_no_law(trace):
    assert violated(trace) == ()


@pytest.mark.parametrize(("laws", "trace"), VIOLATING)
def test_a_violating_trace_breaks_its_laws_and_no_other(laws, trace):
    assert violated(trace) == tuple(laws.split())


def test_each_law_is_broken_by_some_trace():
    assert {law for laws, _ in VIOLATING for law in laws.split()} == {law.__name__ for law in t.LAWS}


def test_broken_laws_come_in_order():
    assert violated([Rpc("p", "q"), Spawn("p"), Run("p", "q"), Spawn("p")]) == (
        *("unique_spawn", "spawn_first", "unique_terminal"),
        *("run_has_callee", "rpc_has_callee", "root_spawn"),
    )


# ---------------------------------------------------------------- any well-formed attempt


class Body:
    """A function that runs in an attempt: what it can wait for, what it waits for, and its children that still run."""

    def __init__(self, name):
        self.name = name
        self.started = 0
        self.callees = set()
        self.waits = set()
        self.running = set()

    def new_callee(self):
        self.started += 1
        callee = f"{self.name}.{self.started}"
        self.callees.add(callee)
        return callee

    def moves(self, settled, *, may_start):
        if may_start:
            yield from [(self.name, how, None) for how in ("run", "rpc", "run again", "rpc again")]
            yield from [(self.name, "await", callee) for callee in sorted(self.callees - self.waits)]
        yield from [(self.name, "resume", callee) for callee in sorted(self.waits & settled)]
        if not self.running:
            # A body ends when it waits for nothing, and suspends when it waits for something.
            yield (self.name, "suspend" if self.waits else "return", None)


@st.composite
def attempts(draw):
    """Return the trace of a tree of bodies, interleaved at random, as an engine would report it."""
    trace = [Spawn("p")]
    bodies = {"p": Body("p")}
    settled = set()
    budget = draw(st.integers(0, 15))
    while bodies:
        moves = [move for body in bodies.values() for move in body.moves(settled, may_start=budget > 0)]
        budget -= 1
        name, how, callee = draw(st.sampled_from(moves))
        body = bodies[name]
        match how:
            case "run":
                child = body.new_callee()
                body.running.add(child)
                bodies[child] = Body(child)
                trace += [Run(name, child), Spawn(child)]
            case "rpc":
                trace += [Rpc(name, child := body.new_callee()), Block(child)]
                if draw(st.booleans()):  # it is settled while the attempt goes on
                    settled.add(child)
            case "run again" | "rpc again":
                child = body.new_callee()
                settled.add(child)
                trace += [Run(name, child) if how == "run again" else Rpc(name, child), Dedup(child, FAILED)]
            case "await":
                body.waits.add(callee)
                trace.append(Await(name, callee))
            case "resume":
                body.waits.discard(callee)
                trace.append(Resume(name, callee))
            case _:
                trace.append(Return(name, DONE) if how == "return" else Suspend(name))
                settled |= {name} if how == "return" else set()
                del bodies[name]
                for other in bodies.values():
                    other.running.discard(name)
    return trace


@given(attempts())
def test_every_well_formed_attempt_breaks_no_law(trace):
    assert violated(trace) == ()


def repeat(trace, i):
    return [*trace, trace[i]]


MUTATIONS = {
    # what is done to one event of a conforming trace -> for which events, and a law that must notice
    "a spawn twice": (Spawn, repeat, "unique_spawn"),
    "no spawn": (Spawn, lambda trace, i: trace[:i] + trace[i + 1 :], None),
    "no end": (Return | Suspend, lambda trace, i: trace[:i] + trace[i + 1 :], "unique_terminal"),
    "an end twice": (Return | Suspend, repeat, "unique_terminal"),
    "an end too early": (Return | Suspend, lambda trace, i: [trace[0], trace[i], *trace[1:i], *trace[i + 1 :]], None),
    "a block twice": (Block, repeat, "block_sole"),
    "no block": (Block, lambda trace, i: trace[:i] + trace[i + 1 :], "rpc_has_callee"),
    "a dedup twice": (Dedup, repeat, "dedup_sole"),
    "a dedup that runs": (Dedup, lambda trace, i: [*trace, Spawn(trace[i].id)], "exclusive_lifecycle"),
    "an await without end": (Await, lambda trace, i: [*trace, trace[i]], "await_then_resume_or_suspend"),
    "an await twice": (Await, lambda trace, i: [*trace[:i], trace[i], *trace[i:]], "await_then_resume_or_suspend"),
    "a callee that is nowhere": (
        Run,
        lambda trace, i: [*trace[:i], evolve(trace[i], callee="?"), *trace[i + 1 :]],
        "run_has_callee",
    ),
    "a start in the middle": (Spawn, lambda trace, i: trace[i + 1 :], "root_spawn"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@settings(max_examples=30)
@given(data=st.data())
def test_every_mutation_is_noticed(mutation, data):
    kind, mutate, law = MUTATIONS[mutation]
    trace = data.draw(attempts())
    places = [i for i, event in enumerate(trace) if isinstance(event, kind)]
    if mutation == "an end too early":
        # Moved right behind the root's spawn, an end is wrong only if its body did something after that place.
        places = [i for i in places if any(event.id == trace[i].id for event in trace[1:i])]
    if not places:
        return
    mutant = mutate(trace, data.draw(st.sampled_from(places)))
    assert violated(mutant)
    if law:
        assert law in violated(mutant)


# ---------------------------------------------------------------- the union


def test_there_are_nine_trace_events_and_eighteen_operational_ones():
    assert len(typing.get_args(t.TraceEvent)) == 9
    assert len(typing.get_args(t.OperationalEvent)) == 18
    assert set(typing.get_args(t.LifecycleEvent)) == {
        *typing.get_args(t.TraceEvent),
        *typing.get_args(t.OperationalEvent),
    }


@pytest.mark.parametrize("event", typing.get_args(t.LifecycleEvent))
def test_events_are_frozen_values(event):
    fields = [field.name for field in event.__attrs_attrs__]
    made = event(**dict.fromkeys(fields, "x"))
    assert made == event(**dict.fromkeys(fields, "x"))
    assert made != event(**{**dict.fromkeys(fields, "x"), fields[-1]: "y"})
    with pytest.raises(AttributeError):
        setattr(made, fields[0], "y")


def test_a_list_can_be_a_tracer():
    class Listing:
        def __init__(self):
            self.events = []

        def record(self, event):
            self.events.append(event)

    tracer: Tracer = Listing()
    tracer.record(Spawn("p"))
    tracer.record(t.MessageDropped("not JSON"))
    assert tracer.events == [Spawn("p"), t.MessageDropped("not JSON")]
