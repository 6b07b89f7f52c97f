"""Processes that are forked from one that has all modules loaded: they start in milliseconds, and die for real."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn


def born(life: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Start a process that lives a life, and return its pid. Its exit code is 1 if the life ended in an error."""
    if threading.active_count() > 1:
        raise RuntimeError("A process with threads must not be forked.")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        asyncio.run(life())
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the exit code says it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die() -> NoReturn:
    """End this process as a SIGKILL from outside does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("A process has survived its SIGKILL.")


def was_killed(status: int) -> bool:
    """Tell from what `os.waitpid` returns whether a process was killed. Raise if it failed otherwise."""
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"A process has ended with the exit code {code}; see above.")
    return code != 0
