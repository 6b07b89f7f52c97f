"""What is held to the contracts: found by its name, as the command line says it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest
from attrs import frozen

from resonate.errors import UsageError
from resonate.ports.store import Backend
from resonate.testing import loading
from resonate.testing.clock import VirtualClock
from resonate.testing.contracts import Samples

PLAIN: Final = Samples(
    values=[
        (None, Any),
        (True, bool),
        (7, int),
        (-1.5, float),
        ("", str),
        ("quotes \" ' \\ \n and more 🙂", str),
        ([1, 2], list[int]),
        ([], list[str]),
        ({"a": 1}, dict[str, int]),
        ({"deep": [{"er": None}, "x"]}, Any),
    ],
    misfits=[("text", str, int), ([1], list[int], dict[str, int])],
)
"""What every codec can write; more is given by `--codec-samples`."""


@frozen
class Options:
    """What the command line says; None where it says nothing."""

    config: pytest.Config

    def named(self, option: str) -> Any:
        """Return what `module:name` stands for; skip the test if the option was not given."""
        given: str | None = self.config.getoption(option, None)
        if given is None:
            pytest.skip(f"no {option.lstrip('-')} was given: {option} module:name")
        return load(given, option)

    def maybe(self, option: str) -> Any:
        """Return what `module:name` stands for, None if the option was not given."""
        given: str | None = self.config.getoption(option, None)
        return None if given is None else load(given, option)

    def number(self, option: str, default: int) -> int:
        """Return a number."""
        given: int | None = self.config.getoption(option, None)
        return default if given is None else given


def load(given: str, option: str) -> Any:
    """Return the object that `module:name` stands for. Raise pytest's `UsageError` if there is none."""
    try:
        return loading.load(given, option)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


@contextmanager
def opened(make: Any) -> Generator[Callable[[VirtualClock], Backend]]:
    """Give what makes backends on a clock; those that are context managers are left at the end."""
    with ExitStack() as stack:

        def backend(clock: VirtualClock) -> Backend:
            made: Any = make(clock)
            if callable(getattr(made, "__enter__", None)):
                made = stack.enter_context(made)
            if not callable(getattr(made, "connect", None)):
                raise TypeError(f"--store makes a backend, with connect(group=, pid=), and not {made!r}.")
            found: Backend = made
            return found

        yield backend


def made(maker: Any) -> Any:
    """Return what a factory makes, or what was given in place of one."""
    found: Any = maker() if callable(maker) else maker
    return found
