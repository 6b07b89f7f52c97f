"""One connection to a server that lives in this process: what such stores have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from resonate.adapters.embedded.mail import Member
from resonate.core.engine.loop import DurableLoop
from resonate.core.protocol.addresses import anycast, preferring, unicast
from resonate.core.protocol.records import Message
from resonate.errors import StoreError, UsageError
from resonate.ports.store import Notice


class Connection:
    """Member `pid` of `group`; knows its addresses, and whether it is open. It may be started again after a stop.

    Args:
        kind: what the server is called in errors.
    """

    def __init__(self, kind: str, group: str, pid: str) -> None:
        self._kind = kind
        self._group = group
        self._pid = pid
        self._member: Member | None = None
        self._open = False

    @property
    def unicast(self) -> str:
        """The address that reaches exactly this connection."""
        return unicast(self._group, self._pid)

    def anycast(self, group: str | None = None) -> str:
        """Return the address of any member of `group`, this connection's own when None."""
        return anycast(self._group if group is None else group)

    def prefer(self) -> str:
        """Return the address of any member of this group, this connection while it is started."""
        return preferring(self._group, self._pid)

    def messages(self) -> AsyncIterator[Message | Notice]:
        """Return the messages to this connection, until `stop`. Raise `UsageError` before `start`."""
        if self._member is None:
            raise self._closed()
        return self._member.mailbox

    def _check_open(self) -> None:
        if not self._open:
            raise self._closed()

    def _closed(self) -> StoreError | UsageError:
        if self._member is None:
            return UsageError(f"The {self._kind} store has not been started.", hint="Await its start() first.")
        return StoreError(f"The {self._kind} store has been stopped.", hint="Start it again, or connect another.")


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop, to which messages can come. Raise `UsageError` inside a workflow."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, DurableLoop):
        raise UsageError(
            "A store was started inside a workflow.",
            hint="Use the workflow's Context: ctx.run, ctx.rpc, ctx.promise; or do it in a step.",
        )
    return loop
