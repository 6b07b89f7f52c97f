"""Whose a KeyboardInterrupt is: the keyboard's, which ends the process, or that of the code that raised it.

Law 1: where it can't be told, it is the keyboard's: Ctrl-C works wherever it comes from.
"""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import Any, Final

_STEPS_OWN: Final = "__resonate_of_a_step__"


def claim(error: BaseException) -> None:
    """Take note of what a step raised in a thread of its own, which no signal interrupts."""
    if isinstance(error, KeyboardInterrupt) and not _is_in_main_thread():
        setattr(error, _STEPS_OWN, True)


def ends_the_process(error: BaseException) -> bool:
    """Say whether an error that came out of a step is no outcome of it: the process, or the loop, is being stopped."""
    if not isinstance(error, KeyboardInterrupt):
        return isinstance(error, GeneratorExit)
    return not getattr(error, _STEPS_OWN, False) and _is_from_a_signal(error)


def _is_from_a_signal(error: KeyboardInterrupt) -> bool:
    """Say whether a signal's handler raised this, or may have: they run in the main thread, between any two lines.

    Python's own handler leaves no trace. Under `asyncio.run` it is not in place, and one that is written in Python is.
    """
    if not _is_in_main_thread():
        return False
    handler: Any = signal.getsignal(signal.SIGINT)
    if isinstance(handler, signal.Handlers):
        return False
    while isinstance(handler, functools.partial):
        handler = handler.func
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    return code is None or code in _codes(error.__traceback__)


def _codes(traceback: TracebackType | None) -> Iterator[CodeType]:
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


def _is_in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
