"""The pytest plugin: fixtures with virtual time, checks after each test, and the conformance kit's options.

Law 1: loading it loads pytest and nothing else: every run of pytest in the environment does.
Law 2: a fixture of the same name in a test suite hides the one from here, as pytest has it.
"""

from __future__ import annotations

from typing import Final

import pytest

CONFORMANCE: Final = "resonate.testing.conformance"
MARKER: Final = (
    "resonate(leaks=True, unfinished=False, replay='end', **options): how the fixture `resonate` is made and checked; "
    "other arguments are those of Resonate."
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
    """Add the marker."""
    config.addinivalue_line("markers", MARKER)


def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> None:
    """Add the conformance kit's options where it is run, and nowhere else: their names are short."""
    if not any(arg.split("::")[0].startswith(CONFORMANCE) for arg in args):
        return
    group = parser.getgroup("resonate-conformance", "conformance with the ports of resonate")
    group.addoption("--store", metavar="MODULE:NAME", help="makes a backend on a clock: make_store(clock)")
    group.addoption("--store-latency", metavar="MS", type=int, help="virtual time that a message may take to arrive")
    group.addoption("--store-retry-interval", metavar="MS", type=int, help="the backend's, if it is not 5000")
    group.addoption("--codec", metavar="MODULE:NAME", help="a codec, or what makes one")
    group.addoption("--codec-samples", metavar="MODULE:NAME", help="a Samples, beyond what JSON knows")
    group.addoption("--clock", metavar="MODULE:NAME", help="what makes clocks whose time passes by itself")
