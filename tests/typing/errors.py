"""Only type-checked, never run: what the error tree promises to a reader's type checker."""

from __future__ import annotations

from typing import assert_type

from resonate.errors import EncodingError, LeaseLost, ResonateError, StoreError


def attributes_are_typed(error: EncodingError) -> None:
    assert_type(error.path, str)
    assert_type(error.hint, str | None)
    assert_type(error.step, str | None)


def a_family_is_caught_by_its_base(error: LeaseLost) -> tuple[StoreError, ResonateError]:
    return error, error


def details_are_keywords() -> None:
    EncodingError("a set of locks", "order.items[3]")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # path is a keyword
