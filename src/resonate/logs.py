"""Log lines: what they say beside their text, and how they reach the handlers without holding anybody up.

Law 1: a line carries what is known of where it was written: execution, promise, function, version, attempt, and the
    ids of the current OpenTelemetry span, as attributes of its record.
Law 2: a handler that blocks, is slow or raises costs whoever wrote the line `PATIENCE` seconds, once: lines are handed
    to a thread, which has a bounded queue; what finds it full is dropped, and counted.
Law 3: a line whose handlers are quick has been handled when the call that wrote it returns, as with `logging` itself.
Law 4: nothing is set up here: no handler, no level.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar, copy_context
from typing import Any, Final, TypeAlias

PATIENCE = 0.05
MOST_WAITING: Final = 1_000
FAREWELL: Final = 1.0

Facts: TypeAlias = Mapping[str, object]
_known: ContextVar[tuple[Callable[[], Facts], ...]] = ContextVar("resonate_known", default=())


def know(more: Callable[[], Facts]) -> None:
    """Let the lines that are written in this context say more, each under its name with `resonate_` before it.

    It is asked for when there is a line, and the context is left with the task that it is called in.
    """
    _ = _known.set((*_known.get(), more))


def facts() -> Facts:
    """Return what is known of where the code that calls runs."""
    found = {f"resonate_{name}": value for more in _known.get() for name, value in more().items()}
    return {**found, **_span()}


class Located(logging.Filter):
    """Lets any logger's or handler's lines say where they were written: `handler.addFilter(Located())`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known; keep the line."""
        for name, value in facts().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


def _span() -> Facts:
    """Return the ids of the current span, under the names that OpenTelemetry's own logging uses."""
    tracing: Any = sys.modules.get("opentelemetry.trace")  # where nobody has loaded it, no span is current
    if tracing is None:
        return {}
    context = tracing.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "otelTraceID": f"{context.trace_id:032x}",
        "otelSpanID": f"{context.span_id:016x}",
        "otelTraceSampled": context.trace_flags.sampled,
    }


class _Post:
    """The thread that lines are handed to. Started by the first line, and anew in a forked process."""

    def __init__(self) -> None:
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waiting: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._wake = threading.Event()
        self._late = False  # a handler has not come back: wait for none until all that was written is handled
        self._last: threading.Event | None = None  # set when what was written last is handled
        self.dropped = 0
        self._untold = 0

    def hand_over(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        """Have a line handled; return when it was, or after a short while."""
        if threading.current_thread() is self._thread:
            _handle(logger, record)
            return
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            self._untold += 1
            return
        if not self._ensure_started():
            _handle(logger, record)
            return
        context, done = copy_context(), threading.Event()
        if self._last is None or self._last.is_set():
            self._late = False
        self._put(lambda: context.run(_handle, logger, record), done)
        if not self._late and not done.wait(PATIENCE):
            self._late = True

    def flush(self, seconds: float) -> bool:
        """Wait until what was written so far is handled; return whether it is."""
        done = threading.Event()
        if self._thread is None:
            return True
        self._put(lambda: None, done)
        return done.wait(seconds)

    def _put(self, handle: Callable[[], None], done: threading.Event) -> None:
        self._waiting.append((handle, done))
        self._last = done
        self._wake.set()

    def _ensure_started(self) -> bool:
        """Say whether there is a thread; there is none to be had once the interpreter is ending."""
        if self._thread is None:
            with self._start_lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="resonate-logs", daemon=True)
                    try:
                        thread.start()
                    except RuntimeError:
                        return False
                    self._thread = thread
        return True

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                handle, done = self._waiting[0]
                handle()
                self._waiting.popleft()
                if not self._waiting:  # who waits for the last line, or to flush, finds this one written, too
                    self._tell_of_dropped()
                done.set()

    def _tell_of_dropped(self) -> None:
        untold, self._untold = self._untold, 0
        if untold:
            line = "%d log lines were dropped: a handler did not keep up."
            _guarded(lambda: logging.getLogger("resonate").warning(line, untold))


def _handle(logger: logging.Logger, record: logging.LogRecord) -> None:
    _guarded(lambda: logger.handle(record))


def _guarded(write: Callable[[], None]) -> None:
    try:
        write()
    except BaseException as error:  # noqa: BLE001 - pytest.fail and SystemExit, too: they would end the thread
        if logging.raiseExceptions:
            print(f"A log handler failed: {error!r}", file=sys.stderr)  # noqa: T201 - as logging itself does


_post = _Post()


def dropped() -> int:
    """Return how many lines were dropped so far."""
    return _post.dropped


def flush(seconds: float = FAREWELL) -> bool:
    """Wait until every line written so far is handled, for `seconds` at most; return whether it is."""
    return _post.flush(seconds)


def _begin_anew() -> None:
    global _post  # noqa: PLW0603 - a forked process has none of its parent's threads
    _post = _Post()


_ = atexit.register(flush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class _Door(logging.Logger):
    """Stands before a logger: asks it whether it wants a line, and has the line handed to it."""

    def __init__(self, behind: logging.Logger) -> None:
        super().__init__(behind.name)
        self._behind = behind

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's own name
        """Ask the logger itself."""
        return self._behind.isEnabledFor(level)

    def getEffectiveLevel(self) -> int:  # noqa: N802 - logging's own name
        """Ask the logger itself."""
        return self._behind.getEffectiveLevel()

    def handle(self, record: logging.LogRecord) -> None:
        """Have the line handed over."""
        _post.hand_over(self._behind, record)


class Log(logging.LoggerAdapter[logging.Logger]):
    """A logger of the library's own, by name."""

    def __init__(self, name: str) -> None:
        super().__init__(_Door(logging.getLogger(name)), {})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what is known of where the line is written."""
        kwargs["extra"] = {**facts(), **(kwargs.get("extra") or {})}
        return msg, kwargs


class WorkflowLog(Log):
    """A workflow's logger: silent while history is replayed, since each line was written when it first happened.

    Args:
        function: the workflow's name, which the logger's ends with.
        known: what is known of the workflow now.
        replaying: says whether it is replayed now.
    """

    def __init__(self, function: str, known: Callable[[], Facts], replaying: Callable[[], bool]) -> None:
        super().__init__(f"resonate.workflow.{function}")
        self._known = known
        self._replaying = replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's own name
        """Say no while history is replayed."""
        return not self._replaying() and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what is known of the workflow."""
        known = {f"resonate_{name}": value for name, value in self._known().items()}
        kwargs["extra"] = {**known, **(kwargs.get("extra") or {})}
        return super().process(msg, kwargs)
