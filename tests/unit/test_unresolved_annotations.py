"""Annotations that name what is not there at run time: refused where they count, and told of where they might."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import frozen

import resonate.sync
from resonate import Context, EncodingError, Info, Resonate, UsageError
from resonate.core.function import FunctionKind, check_call, describe
from resonate.testing import Harness

if TYPE_CHECKING:
    from decimal import Decimal

    import resonate as durable
    from resonate import Context as Workflow
    from resonate import Info as Facts

    Order = Decimal


async def takes_one(ctx: Context, order: Order) -> None:
    pass


def gives_one(sku: str) -> list[Order]:
    raise AssertionError


def by_name(*, order: Order | None = None) -> None:
    raise AssertionError


def takes_facts(facts: Facts, n: int) -> int:
    return n


def through_a_module(order: Info.Order) -> None:  # type: ignore[name-defined]  # that is the point
    raise AssertionError


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (takes_one, "the annotation Order of its parameter order names Order"),
        (gives_one, "the annotation list[Order] of its result names Order"),
        (by_name, "the annotation Order | None of its parameter order names Order"),
        (takes_facts, "the annotation Facts of its parameter facts names Facts"),
        (through_a_module, "the annotation Info.Order of its parameter order names Order"),
    ],
)
@pytest.mark.parametrize("client", [Resonate, resonate.sync.Resonate])
def test_registering_refuses_what_values_could_not_be_read_by(client, function, said):
    with pytest.raises(UsageError) as refused:
        client("memory://").register(function)
    assert str(refused.value).startswith(f"{function.__name__} (test_unresolved_annotations.py:")
    assert f"can't be registered: {said}, which is not known at run time." in str(refused.value)
    assert "import it outside of `if TYPE_CHECKING:`" in str(refused.value)


async def workflow(ctx: Context, n: int) -> int:
    return n


async def aliased(ctx: Workflow, n: int) -> int:
    return n


async def of_a_module(ctx: durable.Context, n: int) -> int:
    return n


def documented(n: "how many, at most", unit: "5 m") -> None:  # noqa: F722 - no types at all
    raise AssertionError


@pytest.mark.parametrize("function", [workflow, aliased, of_a_module])
def test_a_context_needs_no_import_at_run_time(function):
    Resonate("memory://").register(function)
    assert describe(function, resolved=True).kind is FunctionKind.WORKFLOW


def test_annotations_that_are_no_types_are_let_be():
    assert describe(documented, resolved=True).signature.unresolved == ()


@frozen
class Parcel:
    sku: str


if TYPE_CHECKING:
    Sent = Parcel


def sends(parcel: Sent) -> None:
    raise AssertionError


def packs(sku: str) -> Sent:
    return Parcel(sku)


def weighs(parcel: Sent) -> int:
    return 1


@pytest.mark.parametrize(
    ("called", "argument", "said"),
    [
        (sends, Parcel("a"), "the annotation Sent of its parameter parcel names Sent"),
        (packs, "a", "the annotation Sent of its result names Sent"),
    ],
)
async def test_a_step_that_is_not_registered_is_told_of_where_a_value_needs_its_type(called, argument, said):
    async def flow(ctx: Context) -> None:
        await ctx.run(called, argument)

    async with Harness() as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        with pytest.raises(EncodingError) as failed:
            await client.run("x", flow)
    assert said in str(failed.value)
    assert "import it outside of `if TYPE_CHECKING:`" in str(failed.value)


async def test_and_does_its_work_where_none_does():
    async def flow(ctx: Context) -> int:
        return await ctx.run(weighs, {"sku": "a"})

    async with Harness() as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        assert await client.run("x", flow) == 1


def test_a_call_that_does_not_fit_says_what_was_not_recognized():
    async def flow(door: Workflow, n: int) -> int:
        return n

    with pytest.raises(UsageError, match="But the annotation Workflow of its parameter door names Workflow"):
        check_call(describe(flow), (1,), {})
