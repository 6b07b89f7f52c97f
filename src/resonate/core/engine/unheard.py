"""Failures that nobody in a workflow has asked for, by the time that it is over.

Law 1: a failure is heard of once its future was asked for it: awaited, or by `result()` or `exception()`.
Law 2: what was canceled has not failed.
Law 3: what does not fail costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from attrs import frozen

from resonate.core.engine.callsite import place
from resonate.core.engine.children import OWED, Child
from resonate.core.engine.loop import CancelledError, Future
from resonate.core.payload import brief
from resonate.core.raised import titled
from resonate.core.trace import FailureUnheard
from resonate.errors import PromiseCanceled

MANY: Final = 64
"""Beyond so many failures of one workflow, and twice as many as nobody has asked for, those are let go that were."""


@frozen
class _Failure:
    """What failed: where it was called, its error, and the future that the workflow holds.

    A task that failed with an error that no call in it had has the id of its workflow.
    """

    id: str
    function: str
    site: str
    error: BaseException
    future: Future[Any]

    @property
    def is_unheard(self) -> bool:
        """Whether nobody has asked the future for its error: what asyncio itself goes by when it collects one."""
        return getattr(self.future, "_log_traceback", False) is True


class Failures:
    """What has failed in one scope. Mutable; made with the first failure.

    Args:
        id: the workflow's.
    """

    __slots__ = ("_by_error", "_found", "_id", "_limit")

    def __init__(self, id: str) -> None:
        self._id = id
        self._found: list[_Failure] = []
        self._by_error: dict[int, _Failure] = {}  # of those: by the error's address, as long as it is held here
        self._limit = MANY

    def of_call(self, child: Child, error: BaseException, future: Future[Any]) -> None:
        """Take note that a durable call has failed, and what the workflow will hear that of."""
        if child.role in OWED:
            self._add(_Failure(child.id, child.identity.call, child.identity.site, error, future))

    def of_task(self, name: str, error: BaseException, task: Future[Any]) -> None:
        """Take note that a task of the workflow fails; `name` is its coroutine's."""
        call = next((found for cause in _causes(error) if (found := self._by_error.get(id(cause)))), None)
        if call is None:
            self._add(_Failure(self._id, name, _raised_at(error.__traceback__), error, task))
        else:
            self._add(_Failure(call.id, call.function, call.site, error, task))

    def unheard(self, execution: str) -> list[FailureUnheard]:
        """Return what nobody has asked for, in the order in which it happened."""
        return [
            FailureUnheard(
                id=one.id,
                execution=execution,
                function=one.function,
                site=one.site,
                error=brief(titled(one.error)),
            )
            for one in self._found
            if one.is_unheard
        ]

    def _add(self, failure: _Failure) -> None:
        if isinstance(failure.error, PromiseCanceled | CancelledError):
            return
        if len(self._found) >= self._limit:
            self._found = [one for one in self._found if one.is_unheard]
            self._by_error = {}
            for one in self._found:
                self._by_error.setdefault(id(one.error), one)
            self._limit = MANY + 2 * len(self._found)
        self._found.append(failure)
        self._by_error.setdefault(id(failure.error), failure)


def told(event: FailureUnheard) -> str:
    """Return what happened, and what to do, as sentences."""
    what = f"{event.function} ({event.id}, at {event.site})" if event.site else f"{event.function} ({event.id})"
    return (
        f"{what} failed with {event.error}, and the workflow of the execution {event.execution} that called it never "
        "asked how it ended. Await it, and handle what may fail; cancel what is not needed any more."
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what led to it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _raised_at(traceback: TracebackType | None) -> str:
    """Return the innermost line that a traceback leads to."""
    found = ""
    while traceback is not None:
        found = place(traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found
