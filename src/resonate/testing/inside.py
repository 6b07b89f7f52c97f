"""What the test kit knows of a client that others need not know."""

from __future__ import annotations

from resonate import client
from resonate import sync as blocking
from resonate.wiring import Settings


def settings_of(one: client.Resonate | blocking.Resonate) -> Settings:
    """Return what a client was made with: its functions, its codec, its dependencies."""
    plain = one._client if isinstance(one, blocking.Resonate) else one  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return plain._session.settings  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
