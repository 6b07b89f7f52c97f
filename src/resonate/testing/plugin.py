"""The pytest plugin: fixtures with virtual time, checks after each test, and the conformance kit's options.

Law 1: loading it loads pytest and nothing else: every run of pytest in the environment does.
Law 2: a fixture of the same name in a test suite hides the one from here, as pytest has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from resonate.testing.harness import Harness

CONFORMANCE: Final = "resonate.testing.conformance"
MARKER: Final = (
    "resonate(leaks=True, unfinished=False, unheard=False, replay='end', **options): how the fixture `resonate` is "
    "made and checked; "
    "other arguments are those of Resonate."
)
KIT: Final = pytest.StashKey[bool]()
SUBJECTS: Final = ("--store", "--codec", "--codec-samples", "--clock")
SIMULATE: Final = (
    "simulate(workflow, *args, seeds=1000, faults=None, ...): simulate the workflow before the test, which is given "
    "the report as `simulated`; without a workflow, the test is the workflow, and takes `ctx`. See "
    "resonate.testing.simulation.simulate."
)
REPLAYS: Final = ("end", "always", "off")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what says how the fixtures behave."""
    group = parser.getgroup("resonate", "durable workflows (resonate)")
    group.addoption(
        "--resonate-app",
        metavar="MODULE:NAME",
        help="the client whose functions, codec and dependencies the fixture `resonate` takes over",
    )
    group.addoption(
        "--resonate-replay",
        choices=REPLAYS,
        help="replay executions at the end of each test, at each resume too, or never (default: end)",
    )
    group.addoption("--resonate-no-leaks", action="store_true", help="do not look for what a test leaves behind")
    parser.addini("resonate_app", "as --resonate-app", default="")
    parser.addini("resonate_replay", "as --resonate-replay", default="end")
    parser.addini("resonate_leaks", "look for what a test leaves behind", type="bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    """Add the markers."""
    config.addinivalue_line("markers", MARKER)
    config.addinivalue_line("markers", SIMULATE)
    if config.stash.get(KIT, False):
        from resonate.testing.conformance.subjects import load  # noqa: PLC0415 - the kit is run, and only then

        for option in SUBJECTS:
            given: str | None = config.getoption(option, None)
            if given is not None:
                load(given, option)


def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Add the conformance kit's options where it is run, and nowhere else: their names are short."""
    if not any(arg.split("::")[0].startswith(CONFORMANCE) for arg in args):
        return
    early_config.stash[KIT] = True
    group = parser.getgroup("resonate-conformance", "conformance with the ports of resonate")
    group.addoption("--store", metavar="MODULE:NAME", help="makes a backend on a clock: make_store(clock)")
    group.addoption("--store-latency", metavar="MS", type=int, help="virtual time that a message may take to arrive")
    group.addoption("--store-retry-interval", metavar="MS", type=int, help="the backend's, if it is not 5000")
    group.addoption("--codec", metavar="MODULE:NAME", help="a codec, or what makes one")
    group.addoption("--codec-samples", metavar="MODULE:NAME", help="a Samples, beyond what JSON knows")
    group.addoption("--clock", metavar="MODULE:NAME", help="what makes clocks whose time passes by itself")


# ---------------------------------------------------------------- fixtures


@pytest.fixture
def resonate_app(pytestconfig: pytest.Config) -> Any:
    """The client whose functions, codec and dependencies `resonate` takes over; override it to give yours."""
    from resonate.testing.fixtures import named_app  # noqa: PLC0415 - Law 1

    return named_app(pytestconfig)


@pytest.fixture
def _resonate_case(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The whole system of a test."""
    from resonate.testing.fixtures import system  # noqa: PLC0415 - Law 1

    yield from system(request)


@pytest.fixture
def resonate_harness(_resonate_case: Any) -> Harness:
    """The harness that `resonate` lives on: its clock, its crashes, and what the server has stored."""
    harness: Harness = _resonate_case.harness
    return harness


@pytest.fixture
def resonate(_resonate_case: Any) -> Any:
    """A client and worker in memory, on virtual time; blocking in a `def` test. It is open while the test runs."""
    return _resonate_case.client or _resonate_case.twin


@pytest.fixture
def worker(_resonate_case: Any) -> Any:
    """What starts another worker with the functions of `resonate`, and crashes workers."""
    from resonate.testing.fixtures import BlockingWorkers, Workers  # noqa: PLC0415 - Law 1

    return BlockingWorkers(_resonate_case) if _resonate_case.client is None else Workers(_resonate_case)


# ---------------------------------------------------------------- simulations


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that is simulated itself take `ctx`, which is no fixture."""
    mark = metafunc.definition.get_closest_marker("simulate")
    if mark is not None and not mark.args and "ctx" in metafunc.fixturenames:
        metafunc.parametrize("ctx", [pytest.param(None, id="simulated")])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Simulate what a marked test says; return True if that was the test."""
    mark = pyfuncitem.get_closest_marker("simulate")
    if mark is None:
        return None
    from resonate.testing.simulated import simulated  # noqa: PLC0415 - Law 1

    return simulated(pyfuncitem, mark)


@pytest.fixture(name="simulated")
def _simulated() -> None:
    """The report of the simulation that the test is marked with."""
