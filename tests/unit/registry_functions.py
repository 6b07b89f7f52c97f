"""Functions under `from __future__ import annotations`, with names that only a type checker sees."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from tests.unit.registry_types import Context, Info

if TYPE_CHECKING:
    from shop import Order

    import resonate
    from resonate import Context as Ctx
    from resonate import Info as Inf


async def workflow(c: Context, order: str, cents: int) -> str:
    return order


def generator(c: Context, n: int) -> Generator[Any, Any, float]:
    yield n
    return 1.0


async def generic(c: Context[int], n: int) -> None: ...


def step(order: str, *rest: int, sure: bool = True, **extra: float) -> bytes:
    return b""


async def step_with_info(i: Info, n: int) -> int:
    return n


async def half_known(c: Context, order: Order, cents: int) -> Order:
    return order


async def unknown_context(c: resonate.Context, n: int) -> None: ...


async def unknown_alias(ctx: Ctx, n: int) -> None: ...


async def unknown_other(c: Ctx, n: int) -> None: ...


def unknown_info(i: resonate.Info, n: int) -> None: ...


def unknown_info_alias(info: Inf, n: int) -> None: ...
