"""Loggers for workflows: they carry the ids, and are silent while history is replayed."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import Any


class WorkflowLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry `resonate_id` and `resonate_function`."""

    def __init__(self, function: str, promise_id: str, replaying: Callable[[], bool]) -> None:
        super().__init__(
            logging.getLogger(f"resonate.workflow.{function}"),
            {"resonate_id": promise_id, "resonate_function": function},
        )
        self._replaying = replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's own name
        """Say no while history is replayed: the line was logged when it first happened."""
        return not self._replaying() and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the ids to the record, beside what the caller gives as `extra`."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


def workflow_logger(function: str, promise_id: str, replaying: Callable[[], bool]) -> WorkflowLogger:
    """Return the logger for one run of a workflow."""
    return WorkflowLogger(function, promise_id, replaying)
