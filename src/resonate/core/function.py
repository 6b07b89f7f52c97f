"""What the engine knows about a user's function, found out once by looking at it.

Law 1: the first parameter decides the kind: whoever takes a Context is a workflow, all others are steps.
Law 2: a workflow is `async def` or a generator function, for only these can be parked; a step is `async def` or `def`.
Law 3: what can't work is refused here, with a sentence that says why and what to write instead.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from resonate.core.durations import Duration, milliseconds
from resonate.core.retry import Never, RetryPolicy, check_policy
from resonate.core.signature import (
    Parameters,
    Unresolved,
    generator_returned,
    hints,
    is_marked,
    mentions,
    parameters,
    plain_function,
    returned,
    signature,
    unresolved,
)
from resonate.core.values import Signature
from resonate.errors import UsageError

LAMBDA: Final = "lambda"
LONGEST_NAME: Final = 256

RESOLVE: Final = (
    "Values are written and read by it: import it outside of `if TYPE_CHECKING:`, or define it at the top of the "
    "module, above the function."
)

_CONTEXT: Final = ("__resonate_context__", "Context")
_INFO: Final = ("__resonate_info__", "Info")
_CONTEXT_NAMES: Final = frozenset({"ctx", "context"})
_NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


class FunctionKind(StrEnum):
    """Whether a function is replayed (a workflow) or recorded (a step)."""

    WORKFLOW = "workflow"
    STEP = "step"


class Form(StrEnum):
    """How a function is written, and so how it is called."""

    ASYNC = "async def"
    GENERATOR = "generator"
    PLAIN = "def"


# By names of their own where each step looks: on Python 3.11 a member is found in its class as slowly as by a call.
WORKFLOW: Final = FunctionKind.WORKFLOW
ASYNC: Final = Form.ASYNC


@frozen(kw_only=True)
class Arity:
    """What arguments a function takes, its context or info excluded, in a form that is quick to check.

    Args:
        least: how many positional parameters have no default.
        most: how many arguments can be positional; None for any number.
        needs_keywords: a keyword-only parameter has no default.
        exact: the full account, for arguments by name and for the text of an error.
    """

    least: int
    most: int | None
    needs_keywords: bool
    exact: inspect.Signature


@frozen(kw_only=True, eq=False)
class Function:
    """A user's function and what is known about it. Two of them are equal only if they are the same object.

    Args:
        name: what it is called in the store.
        version: its function version, 1 or more.
        fn: what to call.
        kind: workflow or step.
        form: how it is written.
        takes_info: it is a step that wants an Info as its first argument.
        signature: the types of its arguments and result, context or info excluded.
        arity: what arguments it takes, context or info excluded.
        retry: what to do when it fails; None for the default of its kind.
        timeout_ms: how long it may take; None for the default.
        tags: what its promises are tagged with besides the tags of the protocol.
        source: where it is written (`shop.py:31`).
        qualname: its name with the names around it (`Shop.charge`).
    """

    name: str
    version: int
    fn: Callable[..., Any]
    kind: FunctionKind
    form: Form
    takes_info: bool
    signature: Signature
    arity: Arity
    retry: RetryPolicy | None = None
    timeout_ms: int | None = None
    tags: Mapping[str, str] = field(default=_NO_TAGS)
    source: str
    qualname: str


def describe(
    fn: Callable[..., Any],
    *,
    name: str | None = None,
    version: int = 1,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    tags: Mapping[str, str] | None = None,
    resolved: bool = False,
) -> Function:
    """Find out what `fn` is. Raise `UsageError` if it can't be a workflow or a step.

    Args:
        fn: a function, a bound method, a partial of one, or an object with `__call__`.
        name: what to call it in the store; its own name when None (`lambda` for a lambda).
        version: its function version, 1 or more.
        retry: what to do when it fails; for a step only.
        timeout: how long it may take, in seconds or as a timedelta.
        tags: what to tag its promises with.
        resolved: whether each of its annotations has to be known: what is stored will be read by them.
    """
    _check_callable(fn)
    _check_version(version)
    params = _parameters(fn)
    types_ = hints(fn)
    workflow = _takes_context(params, types_)
    takes_info = not workflow and _first_is(_INFO, params, types_)
    given = params[1:] if workflow or takes_info else params
    form = _form(fn)
    _check_form(fn, form, workflow=workflow)
    _check_rest(fn, given, types_)
    unknown = unresolved(given, types_)
    if resolved and unknown:
        raise UsageError(f"{_where(fn)} can't be registered: {'; '.join(unknown)}.", hint=RESOLVE)
    if retry is not None:
        check_policy(retry)
    if workflow:
        refuse_retry(fn, retry)
    return Function(
        name=_check_name(_own_name(fn) if name is None else name),
        version=version,
        fn=fn,
        kind=FunctionKind.WORKFLOW if workflow else FunctionKind.STEP,
        form=form,
        takes_info=takes_info,
        signature=signature(
            given,
            types_,
            returns=generator_returned(types_) if form is Form.GENERATOR else returned(types_),
            unresolved=unknown,
        ),
        arity=_arity(given),
        retry=retry,
        timeout_ms=None if timeout is None else _check_timeout(timeout),
        tags=_check_tags(tags),
        source=_source(fn),
        qualname=_qualname(fn),
    )


def refuse_retry(fn: Callable[..., Any], retry: RetryPolicy | None) -> None:
    """Raise `UsageError` if a workflow is to be retried: run again, it would only replay its recorded failure."""
    if retry is None or isinstance(retry, Never):
        return
    message = f"The workflow {_where(fn)} can't have a retry policy: run again, it replays the failure it recorded."
    raise UsageError(message, hint="Give the policy to the steps that it runs, or catch their errors in the workflow.")


def check_call(function: Function, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    """Raise `UsageError`, worded like Python's own TypeError, if the function doesn't take these arguments."""
    arity = function.arity
    count = len(args)
    fits = arity.least <= count and (arity.most is None or count <= arity.most)
    if fits and not kwargs and not arity.needs_keywords:
        return
    try:
        arity.exact.bind(*args, **kwargs)
    except TypeError as error:
        message = f"{function.name}() can't be called like this: {error}."
        unknown = "".join(f" But {line}." for line in function.signature.unresolved)
        raise UsageError(message, hint=f"It takes {arity.exact} ({function.source}).{unknown}") from None


# ---------------------------------------------------------------- what it takes


def _parameters(fn: Callable[..., Any]) -> Parameters:
    try:
        return parameters(fn)
    except (TypeError, ValueError):
        message = f"{_qualname(fn)} does not say what arguments it takes."
        raise UsageError(message, hint="Wrap it in a function of your own: def step(x): return ...") from None


def _takes_context(params: Parameters, types_: Mapping[str, Any]) -> bool:
    if _first_is(_CONTEXT, params, types_):
        return True
    first = params[0] if params else None
    # A hint that can't be resolved says nothing, so the name decides as if there were none.
    undeclared = first is not None and isinstance(types_.get(first.name, Unresolved(text="")), Unresolved)
    return first is not None and undeclared and _is_positional(first) and first.name in _CONTEXT_NAMES


def _first_is(marked: tuple[str, str], params: Parameters, types_: Mapping[str, Any]) -> bool:
    return bool(params) and _is_positional(params[0]) and is_marked(types_.get(params[0].name), *marked)


def _is_positional(param: inspect.Parameter) -> bool:
    return param.kind in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def _arity(params: Parameters) -> Arity:
    positional = [param for param in params if _is_positional(param)]
    any_number = any(param.kind is inspect.Parameter.VAR_POSITIONAL for param in params)
    return Arity(
        least=sum(param.default is inspect.Parameter.empty for param in positional),
        most=None if any_number else len(positional),
        needs_keywords=any(
            param.kind is inspect.Parameter.KEYWORD_ONLY and param.default is inspect.Parameter.empty
            for param in params
        ),
        exact=inspect.Signature(params),
    )


# ---------------------------------------------------------------- what it is


def _form(fn: Callable[..., Any]) -> Form:
    called = plain_function(fn)
    if inspect.iscoroutinefunction(called):
        return Form.ASYNC
    return Form.GENERATOR if inspect.isgeneratorfunction(called) else Form.PLAIN


def _own_name(fn: Callable[..., Any]) -> str:
    while isinstance(fn, functools.partial):
        fn = fn.func
    # An object with `__call__` goes by the name of its class.
    name: str = getattr(fn, "__name__", type(fn).__name__)
    return LAMBDA if name == "<lambda>" else name


def _qualname(fn: Callable[..., Any]) -> str:
    return getattr(plain_function(fn), "__qualname__", type(fn).__qualname__)


def _source(fn: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(plain_function(fn)), "__code__", None)
    if code is None:
        return "built-in"
    _, _, file = code.co_filename.replace("\\", "/").rpartition("/")
    return f"{file}:{code.co_firstlineno}"


# ---------------------------------------------------------------- what is refused


def _check_callable(fn: object) -> None:
    if isinstance(fn, type):
        message = f"the class {fn.__qualname__} is not a function."
        raise UsageError(message, hint="Pass one of its methods, or a function that makes an instance.")
    if isinstance(fn, classmethod):
        message = "a classmethod is not a function before it is looked up on its class."
        raise UsageError(message, hint="Pass it as Class.method, after the class is made.")
    if not callable(fn):
        hint = "Pass the function itself, without calling it." if inspect.isawaitable(fn) else None
        message = f"a function is needed, not {type(fn).__name__}."
        raise UsageError(message, hint=hint)
    if inspect.isasyncgenfunction(plain_function(fn)):
        message = f"{_where(fn)} is an async generator; it has no one result that could be recorded."
        raise UsageError(message, hint="Return a list, or make each item a step of its own.")


def _check_form(fn: Callable[..., Any], form: Form, *, workflow: bool) -> None:
    if workflow and form is Form.PLAIN:
        message = (
            f"{_where(fn)} takes a Context but is a plain def; it can't be parked while it waits for something durable."
        )
        hint = "Write async def, or drop the Context to make it a step (and rename an argument that is no Context)."
        raise UsageError(message, hint=hint)
    if not workflow and form is Form.GENERATOR:
        message = (
            f"{_where(fn)} is a generator function without a Context; it has no one result that could be recorded."
        )
        raise UsageError(message, hint="Take ctx: Context first to make it a workflow, or return a list.")


def _check_rest(fn: Callable[..., Any], params: Parameters, types_: Mapping[str, Any]) -> None:
    for param in params:
        for marked in (_CONTEXT, _INFO):
            if mentions(types_.get(param.name), *marked):
                message = f"{_where(fn)} takes {marked[1]} as {param.name!r}; only the first parameter can be that."
                raise UsageError(message, hint=_cure(params[0], marked[1]))


def _cure(first: inspect.Parameter, wanted: str) -> str:
    if first.name == "self":
        return "Pass the method of an instance (shop.checkout, not Shop.checkout)."
    return f"Make {wanted} the first parameter, alone and not a union, and call it without one."


def _check_name(name: object) -> str:
    # What is printable has neither NUL nor lone surrogates, which stores can't carry.
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        message = f"a function's name is printable text of 1 to {LONGEST_NAME} characters, not {name!r}."
        raise UsageError(message)
    return name


def _check_version(version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        message = f"a function version is a whole number from 1, not {version!r}."
        raise UsageError(message)


def _check_timeout(timeout: Duration) -> int:
    timeout_ms = milliseconds(timeout, "a function's timeout")
    if timeout_ms == 0:
        message = "a function's timeout is longer than zero."
        raise UsageError(message, hint="Leave it out for the default.")
    return timeout_ms


def _check_tags(tags: Mapping[str, str] | None) -> Mapping[str, str]:
    for key, value in (tags or {}).items():
        _check_tag(key, value)
    return MappingProxyType(dict(tags)) if tags else _NO_TAGS


def _check_tag(key: object, value: object) -> None:
    if not isinstance(key, str) or not isinstance(value, str):
        message = f"a tag is text for text, not {key!r}: {value!r}."
        raise UsageError(message)


def _where(fn: Callable[..., Any]) -> str:
    return f"{_qualname(fn)} ({_source(fn)})"
