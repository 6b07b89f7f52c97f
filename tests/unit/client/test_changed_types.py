"""Types change between deploys while executions are in flight: what is read, what is the same call, what is refused."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, make_dataclass
from typing import Any

import pytest

from resonate import Context, DecodingError, EncodingError, JsonCodec, Never, NondeterminismError


@dataclass
class Order:
    """As it was before the deploy."""

    id: int
    note: str = ""


def order(*fields: Any) -> Any:
    """Return the class as it is after the deploy."""
    return make_dataclass("Order", fields)


ADDED = order(("id", int), ("note", str, field(default="")), ("gift", bool, field(default=False)))
REQUIRED = order(("id", int), ("gift", bool))
REMOVED = order(("id", int))
RENAMED = order(("id", int), ("remark", str, field(default="")))
RENAMED_REQUIRED = order(("number", int))
WIDENED = order(("id", int | str), ("note", str | None, field(default=None)))
NARROWED = order(("id", bool), ("note", str, field(default="")))


def with_types(fn: Any, **types: Any) -> Any:
    fn.__annotations__ = types
    return fn


async def deploy(harness, before: Any, after: Any, value: Any, *, new_value: Any = None, codec: Any = None) -> Any:
    """Start under one type, crash while the workflow sleeps, go on under another; return what the workflow saw last.

    A step is called with the value, and returns it; the workflow itself takes it too.
    """
    seen: list[Any] = []

    def functions(type_: Any, argument: Any) -> tuple[Any, Any]:
        async def save(order):
            return order

        async def shop(ctx, order):
            saved = await ctx.run(save, order if argument is None else argument)
            seen.append((order, saved))
            await ctx.sleep(60)
            return "done"

        return with_types(save, order=type_, **{"return": type_}), with_types(
            shop, ctx=Context, order=type_, **{"return": str}
        )

    save, shop = functions(before, None)
    one = await harness.open(harness.client(pid="before", group="shop", retry=Never()))
    one.register(save)
    one.register(shop)
    await one.begin_run("e", shop, value)
    await harness.clock.sleep_until(harness.clock.now() + 1_000)
    await harness.crash(one)
    two = await harness.open(harness.client(pid="after", group="shop", retry=Never(), codec=codec))
    for fn in functions(after, new_value):
        two.register(fn)
    assert await two.get("e", returns=str).result() == "done"
    return seen[-1]


@pytest.mark.parametrize(
    ("after", "value", "then"),
    [
        (ADDED, Order(1, "n"), ADDED(1, "n", False)),
        (REMOVED, Order(1, "n"), REMOVED(1)),
        (RENAMED, Order(1, "n"), RENAMED(1, "")),
        (WIDENED, Order(1, "n"), WIDENED(1, "n")),
    ],
    ids=["added with a default", "removed", "renamed with a default", "widened"],
)
async def test_a_running_workflow_goes_on_with_the_new_type(harness, after, value, then):
    order, saved = await deploy(harness, Order, after, value)
    assert (order, saved) == (then, then)


@pytest.mark.parametrize(
    ("after", "path"),
    [(REQUIRED, "order.gift"), (RENAMED_REQUIRED, "order.number"), (NARROWED, "order.id")],
    ids=["added without a default", "renamed without a default", "narrowed"],
)
async def test_what_can_not_be_read_as_the_new_type_fails_with_the_path(harness, after, path):
    with pytest.raises(DecodingError, match=f"a call of shop: {path} does not fit") as caught:
        await deploy(harness, Order, after, Order(1, "n"))
    assert (caught.value.path, caught.value.execution) == (path, "e")


async def test_an_argument_that_the_new_code_makes_otherwise_is_another_call(harness):
    """The field has another value than its default: the call is not the one that was recorded."""
    with pytest.raises(NondeterminismError, match="save"):
        await deploy(harness, Order, ADDED, Order(1, "n"), new_value=ADDED(1, "n", True))


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class OneSize(enum.Enum):
    SMALL = "small"


class MoreSizes(enum.Enum):
    TINY = "tiny"
    SMALL = "small"
    LARGE = "large"


async def test_an_enum_may_grow_and_a_member_that_is_stored_may_not_go(harness):
    assert await deploy(harness, Size, MoreSizes, Size.LARGE) == (MoreSizes.LARGE, MoreSizes.LARGE)


async def test_a_member_that_is_gone_is_an_error_that_names_those_that_are_known(harness):
    assert await deploy(harness, Size, OneSize, Size.SMALL) == (OneSize.SMALL, OneSize.SMALL)


async def test_a_stored_member_that_is_gone_fails_with_the_path(harness):
    with pytest.raises(DecodingError, match=r"order does not fit: 'large' where OneSize is declared.*It knows 'small'"):
        await deploy(harness, Size, OneSize, Size.LARGE)


@dataclass
class Card:
    number: str


@dataclass
class Cash:
    amount: int


@dataclass
class Coins:
    amount: int


async def test_a_class_in_a_union_that_is_renamed_is_read_by_its_former_name(harness):
    codec = JsonCodec(renamed={"Cash": Coins})
    assert await deploy(harness, Card | Cash, Card | Coins, Cash(3), codec=codec) == (Coins(3), Coins(3))


async def test_without_its_former_name_it_is_refused_with_the_names_that_are_known(harness):
    with pytest.raises(DecodingError, match=r"the tag 'Cash' where Card \| Coins is declared.*Tags are Card, Coins"):
        await deploy(harness, Card | Cash, Card | Coins, Cash(3))


async def test_the_old_code_reads_what_the_new_code_wrote_if_it_knows_the_fields(harness):
    """A rolling deploy goes both ways."""
    order, saved = await deploy(harness, ADDED, Order, ADDED(1, "n", False))
    assert (order, saved) == (Order(1, "n"), Order(1, "n"))


def test_a_value_of_the_old_class_is_refused_where_the_new_one_is_declared():
    with pytest.raises(EncodingError, match="Order where Order is declared"):
        JsonCodec().encode(Order(1), ADDED)
