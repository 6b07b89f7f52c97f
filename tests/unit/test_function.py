import functools
import math
import re
import types
import typing
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, ParamSpec, TypedDict, TypeVar, Unpack

import pytest

from resonate.core.registry import Form, FunctionKind, check_call, describe
from resonate.core.retry import Constant, Never
from resonate.core.values import Signature
from resonate.errors import UsageError
from tests.unit import registry_functions as lazy
from tests.unit.registry_types import Context, Info

T = TypeVar("T")
Bound = TypeVar("Bound", bound=int)
P = ParamSpec("P")


def _name(value: object) -> str:
    """Name a case the same in every process: the plain text of a function has its address in it."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


class Mine(Context[int]):
    pass


class TypeAliasType:
    """What `type X = ...` makes, where Python has that."""

    def __init__(self, name, value):
        self.__name__ = name
        self._value = value

    @property
    def __value__(self):
        return self._value()


def missing():
    raise NameError("no such name")


def refusal(fn, **options):
    with pytest.raises(UsageError) as caught:
        describe(fn, **options)
    return str(caught.value)


# ---------------------------------------------------------------- kinds and forms


async def async_workflow(c: Context, n: int) -> str: ...


async def generic_workflow(c: Context[int], n): ...


async def annotated_workflow(c: Annotated[Context[int], "mine"], n): ...


async def subclassed_workflow(c: Mine, n): ...


async def aliased_workflow(c: TypeAliasType("Alias", lambda: Context[int]), n): ...


async def half_aliased_workflow(c: TypeAliasType("Context", missing), n): ...


async def quoted_workflow(c: "Context[int]", n): ...


async def ctx_workflow(ctx, n): ...


async def context_workflow(context, n): ...


async def positional_workflow(ctx, /, n): ...


def generator_workflow(ctx, n):
    yield n


class Shop:
    async def checkout(self, ctx: Context, n: int) -> str: ...

    async def unnamed(self, ctx, n): ...

    def price(self, n: int) -> float:
        return float(n)

    @staticmethod
    def tax(n: int) -> float:
        return n * 0.2

    @classmethod
    def open(cls, n: int) -> bool:
        return True

    raw_tax = staticmethod(lambda n: n)


class Doubler:
    def __call__(self, n: int) -> int:
        return 2 * n


class Flow:
    async def __call__(self, ctx: Context, n: int) -> int: ...


def traced(fn):
    @functools.wraps(fn)
    async def wrapper(*args, **kwargs):
        return await fn(*args, **kwargs)

    return wrapper


WORKFLOWS = [
    *(async_workflow, generic_workflow, annotated_workflow, subclassed_workflow, quoted_workflow),
    *(aliased_workflow, half_aliased_workflow),
    *(ctx_workflow, context_workflow, positional_workflow, generator_workflow, traced(async_workflow)),
    *(Shop().checkout, Shop().unnamed, Flow(), functools.partial(async_workflow, n=1)),
    *(lazy.workflow, lazy.generator, lazy.generic, lazy.half_known, lazy.unknown_context, lazy.unknown_alias),
]


@pytest.mark.parametrize("fn", WORKFLOWS, ids=_name)
def test_whoever_takes_a_context_first_is_a_workflow(fn):
    function = describe(fn)
    assert function.kind is FunctionKind.WORKFLOW
    assert not function.takes_info
    check_call(function, () if isinstance(fn, functools.partial) else (1,) * function.arity.least, {})
    assert function.form is (Form.GENERATOR if "generator" in function.name else Form.ASYNC)


async def async_step(n: int) -> str: ...


def plain_step(n: int) -> str: ...


def no_arguments(): ...


def other_ctx(ctx: int): ...


def later_ctx(n, ctx): ...


def rest_ctx(*ctx): ...


def named_ctx(*, ctx): ...


def untyped_info(info): ...


def unhelpful_hint(c: Literal["Context"]): ...


def awaitable_step(n: int) -> typing.Awaitable[int]: ...


STEPS = [
    *(async_step, plain_step, no_arguments, other_ctx, later_ctx, rest_ctx, named_ctx, untyped_info, unhelpful_hint),
    *(awaitable_step, lambda n: n, Shop().price, Shop.tax, Shop.open, Shop.__dict__["raw_tax"], Doubler()),
    *(functools.partial(plain_step, n=1), math.sqrt, len, functools.cache(plain_step), lazy.step, lazy.unknown_other),
]


@pytest.mark.parametrize("fn", STEPS, ids=_name)
def test_all_others_are_steps(fn):
    function = describe(fn)
    assert function.kind is FunctionKind.STEP
    assert not function.takes_info
    assert function.form is (Form.ASYNC if fn in (async_step, lazy.unknown_other) else Form.PLAIN)
    assert function.fn is fn


def info_step(i: Info, n: int) -> str: ...


async def annotated_info_step(i: Annotated[Info, "x"], n): ...


def test_a_step_may_take_an_info_first():
    for fn in (info_step, annotated_info_step, lazy.step_with_info, lazy.unknown_info):
        function = describe(fn)
        assert function.kind is FunctionKind.STEP
        assert function.takes_info
        assert function.arity.most == 1
    assert not describe(lazy.unknown_info_alias).takes_info


# ---------------------------------------------------------------- signatures


def test_a_signature_leaves_the_context_out():
    assert describe(async_workflow).signature == Signature(positional=(int,), keyword={"n": int}, returns=str)
    assert describe(lazy.workflow).signature == Signature(
        positional=(str, int), keyword={"order": str, "cents": int}, returns=str
    )
    assert describe(info_step).signature == Signature(positional=(int,), keyword={"n": int}, returns=str)


def test_a_signature_knows_all_kinds_of_parameters():
    assert describe(lazy.step).signature == Signature(
        positional=(str,), keyword={"order": str, "sure": bool}, rest=int, extra=float, returns=bytes
    )


def test_what_is_not_declared_is_any():
    assert describe(ctx_workflow).signature == Signature(positional=(Any,), keyword={"n": Any})
    assert describe(positional_workflow).signature == Signature(positional=(Any,), keyword={"n": Any})
    assert describe(rest_ctx).signature == Signature(rest=Any)
    assert describe(len).signature.returns is Any


def test_positional_only_parameters_can_not_be_given_by_name():
    def step(a: int, /, b: str): ...

    assert describe(step).signature == Signature(positional=(int, str), keyword={"b": str}, returns=Any)


def test_a_hint_that_only_a_type_checker_knows_is_any_and_the_others_stay():
    assert describe(lazy.half_known).signature == Signature(
        positional=(Any, int), keyword={"order": Any, "cents": int}, returns=Any
    )


def test_a_hint_that_is_no_text_survives_beside_one_that_is_unknown():
    def step(a: "Nobody", b: int, c: "int", d: Annotated[int, "x"]) -> None: ...  # noqa: F821 -- what is tested

    assert describe(step).signature.positional == (Any, int, int, Annotated[int, "x"])
    assert describe(step).signature.returns is type(None)


def test_annotations_are_kept():
    def step(a: Annotated[int, "cents"]) -> Annotated[str, "receipt"]: ...

    assert describe(step).signature == Signature(
        positional=(Annotated[int, "cents"],), keyword={"a": Annotated[int, "cents"]}, returns=Annotated[str, "receipt"]
    )


def test_hints_that_say_nothing_about_a_value_are_any():
    class Options(TypedDict):
        sure: bool

    def generic(a: T, b: Bound, c: list[T]) -> T: ...
    def options(**options: Unpack[Options]): ...
    def forwarded(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    assert describe(generic).signature.positional == (Any, int, list[T])
    assert describe(generic).signature.returns is Any
    assert describe(options).signature.extra is Any
    assert describe(forwarded).signature.rest is Any
    assert describe(forwarded).signature.extra is Any


def test_a_generator_workflow_returns_what_its_generator_returns():
    def full(ctx) -> Generator[Any, Any, str]:
        yield

    def annotated(ctx) -> Annotated[Generator[Any, Any, list[int]], "x"]:
        yield

    def iterator(ctx) -> Iterator[int]:
        yield 1

    def bare(ctx) -> Generator:
        yield

    def old_and_bare(ctx) -> typing.Generator:
        yield

    def unsaid(ctx):
        yield

    assert describe(lazy.generator).signature.returns is float
    returns = [describe(fn).signature.returns for fn in (full, annotated, iterator, bare, old_and_bare, unsaid)]
    assert returns == [str, list[int], Any, Any, Any, Any]


def test_methods_partials_and_objects_have_the_types_of_what_they_call():
    one = Signature(positional=(int,), keyword={"n": int}, returns=float)
    assert describe(Shop().price).signature == one
    assert describe(Shop.__dict__["tax"]).signature == one
    assert describe(Doubler()).signature.positional == (int,)
    assert describe(Shop.open).signature.returns is bool
    assert describe(functools.partial(plain_step, n=1)).signature == Signature(keyword={"n": int}, returns=str)
    assert describe(functools.partial(Shop().checkout, n=1)).kind is FunctionKind.WORKFLOW
    assert describe(functools.cache(plain_step)).signature.returns is str


# ---------------------------------------------------------------- names and options


@pytest.mark.parametrize(
    ("fn", "name", "qualname"),
    [
        (plain_step, "plain_step", "plain_step"),
        (Shop().price, "price", "Shop.price"),
        (Shop.open, "open", "Shop.open"),
        (Shop.__dict__["tax"], "tax", "Shop.tax"),
        (Doubler(), "Doubler", "Doubler.__call__"),
        (functools.partial(functools.partial(plain_step), 1), "plain_step", "plain_step"),
        (functools.partial(Doubler(), 1), "Doubler", "Doubler.__call__"),
        (functools.cache(plain_step), "plain_step", "plain_step"),
        (lambda n: n, "lambda", "<lambda>"),
        (len, "len", "len"),
    ],
    ids=_name,
)
def test_a_function_goes_by_its_own_name(fn, name, qualname):
    function = describe(fn)
    assert (function.name, function.qualname) == (name, qualname)
    assert describe(fn, name="other").name == "other"


def test_a_function_says_where_it_is_written():
    line = plain_step.__code__.co_firstlineno
    for fn in (plain_step, functools.partial(plain_step, 1), functools.cache(plain_step)):
        assert describe(fn).source == f"test_function.py:{line}"
    assert describe(len).source == "built-in"
    windows = types.FunctionType(plain_step.__code__.replace(co_filename="C:\\shop\\shop.py", co_firstlineno=7), {})
    assert describe(windows).source == "shop.py:7"


def test_options_are_kept():
    policy = Constant(1)
    function = describe(plain_step, version=2, retry=policy, timeout=timedelta(minutes=1), tags={"team": "shop"})
    assert (function.version, function.retry, function.timeout_ms) == (2, policy, 60_000)
    assert function.tags == {"team": "shop"}
    assert describe(plain_step, timeout=0.5).timeout_ms == 500


def test_options_have_defaults():
    function = describe(plain_step)
    assert (function.version, function.retry, function.timeout_ms, dict(function.tags)) == (1, None, None, {})


def test_later_changes_to_the_tags_do_not_reach_the_function():
    tags = {"team": "shop"}
    function = describe(plain_step, tags=tags)
    tags["team"] = "stock"
    assert function.tags == {"team": "shop"}


# ---------------------------------------------------------------- refusals


def plain_context(c: Context): ...


def plain_ctx(ctx): ...


async def async_generator(ctx):
    yield


def generator_step(n):
    yield n


async def late_context(n, c: Context): ...


async def two_contexts(a: Context, b: Context): ...


async def union_context(c: Context | None): ...


async def context_and_info(c: Context, i: Info): ...


def late_info(n, i: Info): ...


def rest_info(*infos: Info): ...


async def named_context(*, c: Context): ...


async def listed_contexts(n, c: list[Context]): ...


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (plain_context, "takes a Context but is a plain def; it can't be parked"),
        (plain_ctx, "rename an argument that is no Context"),
        (functools.cache(async_workflow), "takes a Context but is a plain def"),
        (async_generator, "is an async generator"),
        (generator_step, "is a generator function without a Context"),
        (late_context, "takes Context as 'c'; only the first parameter can be that"),
        (two_contexts, "takes Context as 'b'"),
        (union_context, "alone and not a union"),
        (context_and_info, "takes Info as 'i'"),
        (late_info, "takes Info as 'i'"),
        (rest_info, "takes Info as 'infos'"),
        (named_context, "takes Context as 'c'"),
        (listed_contexts, "takes Context as 'c'"),
        (Shop.checkout, "Pass the method of an instance"),
        (Shop, "the class Shop is not a function"),
        (Shop.__dict__["open"], "Pass it as Class.method"),
        (42, "a function is needed, not int"),
        (None, "a function is needed, not NoneType"),
        (min, "min does not say what arguments it takes. Wrap it"),
    ],
    ids=_name,
)
def test_what_can_not_work_is_refused_with_a_sentence(fn, says):
    assert says in refusal(fn)


def test_a_refusal_says_where_the_function_is():
    assert f"plain_ctx (test_function.py:{plain_ctx.__code__.co_firstlineno})" in refusal(plain_ctx)


def test_a_call_instead_of_a_function_is_recognised():
    coroutine = async_step(1)
    assert "without calling it" in refusal(coroutine)
    coroutine.close()


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "\ud800", "x" * 257, 42, b"x"])
def test_a_bad_name_is_refused(name):
    assert "a function's name is printable text" in refusal(plain_step, name=name)


@pytest.mark.parametrize("name", ["x" * 256, "shop.charge", "Gebühr 2", "λ"])
def test_a_good_name_is_kept(name):
    assert describe(plain_step, name=name).name == name


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_a_bad_version_is_refused(version):
    assert "a function version is a whole number from 1" in refusal(plain_step, version=version)


@pytest.mark.parametrize("timeout", [0, -1, math.nan, "1", True])
def test_a_bad_timeout_is_refused(timeout):
    assert "a function's timeout is" in refusal(plain_step, timeout=timeout)


@pytest.mark.parametrize("tags", [{"a": 1}, {1: "a"}])
def test_bad_tags_are_refused(tags):
    assert "a tag is text for text" in refusal(plain_step, tags=tags)


# ---------------------------------------------------------------- calls


def takes(a, b=1, /, c=2, *, d=3): ...


def takes_any(a, *rest, **extra): ...


def takes_named(a, *, must): ...


async def takes_context(ctx, a, b=1): ...


@pytest.mark.parametrize(
    ("fn", "args", "kwargs"),
    [
        (takes, (1,), {}),
        (takes, (1, 2, 3), {}),
        (takes, (1,), {"c": 1, "d": 2}),
        (takes_any, (1, 2, 3, 4), {"x": 1}),
        (takes_named, (1,), {"must": 2}),
        (takes_named, (), {"a": 1, "must": 2}),
        (takes_context, (1,), {}),
        (takes_context, (1, 2), {}),
        (takes_context, (), {"a": 1}),
    ],
)
def test_arguments_that_fit_pass(fn, args, kwargs):
    check_call(describe(fn), args, kwargs)


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "says"),
    [
        (takes, (), {}, "missing a required argument: 'a'"),
        (takes, (1, 2, 3, 4), {}, "too many positional arguments"),
        (takes, (1,), {"x": 1}, "got an unexpected keyword argument 'x'"),
        (takes, (1, 2, 3), {"c": 1}, "multiple values for argument 'c'"),
        (takes, (), {"a": 1}, "'a'"),
        (takes_any, (), {}, "missing a required argument: 'a'"),
        (takes_named, (1,), {}, "missing a required"),
        (takes_context, (1, 2, 3), {}, "too many positional arguments"),
        (takes_context, (1,), {"ctx": 1}, "got an unexpected keyword argument 'ctx'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_as_python_does(fn, args, kwargs, says):
    with pytest.raises(UsageError) as caught:
        check_call(describe(fn), args, kwargs)
    assert f"{fn.__name__}() can't be called like this: " in str(caught.value)
    assert says in str(caught.value)


def test_a_refused_call_shows_what_the_function_takes():
    with pytest.raises(UsageError, match=r"It takes \(a, b=1\) \(test_function.py:\d+\)"):
        check_call(describe(takes_context), (), {})


class NoName:
    """A callable without a name and without `__call__` in Python."""

    __slots__ = ()
    __call__ = min


def test_an_object_that_calls_something_written_in_c_goes_by_its_class():
    with pytest.raises(UsageError, match="NoName does not say what arguments it takes"):
        describe(NoName())


def test_a_workflow_can_not_be_retried() -> None:
    with pytest.raises(UsageError, match="replays the failure") as refused:
        describe(async_workflow, retry=Constant(1))
    assert "steps" in str(refused.value)
    assert describe(async_workflow, retry=Never()).retry == Never()
