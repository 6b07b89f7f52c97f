"""Functions of each kind, for the other files; only type-checked, never run."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from resonate import Context, Info


async def workflow(ctx: Context, order: str, cents: int = 0) -> bytes:
    raise NotImplementedError


def generator(ctx: Context, order: str) -> Generator[Any, Any, bytes]:
    raise NotImplementedError


async def step(order: str, *, cents: int = 0) -> bytes:
    raise NotImplementedError


def plain(order: str, cents: int = 0) -> bytes:
    raise NotImplementedError


async def info_step(info: Info, order: str) -> bytes:
    raise NotImplementedError


def plain_info_step(info: Info, order: str) -> bytes:
    raise NotImplementedError


def nothing() -> None:
    raise NotImplementedError


def listed(order: str) -> list[int]:
    raise NotImplementedError


def used(value: object) -> None:
    """Take what would otherwise have to be awaited."""
