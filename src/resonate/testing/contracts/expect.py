"""How a contract's checks say what they miss: an `AssertionError` with a sentence, whatever runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Check: TypeAlias = Callable[P, Awaitable[None]]


class Checks(list[Check[P]]):
    """The checks of a subject, in the order in which they are written; used as a decorator."""

    def __call__(self, check: Check[P]) -> Check[P]:
        """Add a check."""
        self.append(check)
        return check


def hold(condition: bool, law: str) -> None:  # noqa: FBT001 - it is what an assertion takes
    """Fail with `law` unless the condition holds."""
    if not condition:
        raise AssertionError(law)


def agree(found: T, wanted: T, what: str) -> None:
    """Fail unless both are equal."""
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} was found where {wanted!r} was wanted")


@contextmanager
def raises(error: type[BaseException] | tuple[type[BaseException], ...], law: str) -> Generator[None]:
    """Fail with `law` unless what is inside raises."""
    try:
        yield
    except error:
        return
    raise AssertionError(law)
