"""How a workflow's body is started: an `async def` as it is, a generator driven by a coroutine.

Law 1: starting a body runs none of it; what is wrong with its arguments is raised when it is first awaited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

from resonate.core.registry import Form, Function
from resonate.core.values import Call
from resonate.errors import UsageError


def body_of(function: Function, context: object, call: Call) -> Coroutine[Any, Any, Any]:
    """Return the coroutine that is a workflow's body."""
    try:
        body = function.fn(context, *call.args, **call.kwargs)
    except TypeError as error:  # the recorded arguments do not fit the function
        return _failing(error)
    return _run_generator(body) if function.form is Form.GENERATOR else body


async def _failing(error: Exception) -> Any:
    raise error


async def _run_generator(generator: Generator[Any, Any, Any]) -> Any:
    """Drive a generator workflow: what it yields is awaited, what comes of that is sent or thrown back in."""
    try:
        awaitable = next(generator)
        while True:
            try:
                value = await _yielded(awaitable)
            except BaseException as error:  # noqa: BLE001 - all of it is the generator's to handle
                awaitable = generator.throw(error)
            else:
                awaitable = generator.send(value)
    except StopIteration as end:
        return end.value
    finally:
        generator.close()


def _yielded(value: Any) -> Awaitable[Any]:
    if hasattr(value, "__await__"):
        awaitable: Awaitable[Any] = value
        return awaitable
    raise UsageError(
        f"A generator workflow yielded a value of type {type(value).__name__}, which can't be awaited.",
        hint="Write v = yield ctx.run(...), and return what it is to give.",
    )
