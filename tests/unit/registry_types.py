"""Stand-ins for the classes that a function asks for by its first parameter."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Context(Generic[T]):
    __resonate_context__ = True


class Info:
    __resonate_info__ = True
