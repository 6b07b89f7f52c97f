"""The token that a server is shown.

Law 1: the token is in no text that this makes: no error, no log record, no repr.
Law 2: a token that was refused is replaced once for each request that it failed; many that fail together ask once.
Law 3: a function that gives no token may give one later: that is trouble that may pass. Only one whose first answer is
    of a wrong type is told that it was written wrong.
Law 4: after a refusal that a new token did not mend, nothing is asked any more: everyone hears of it at once.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable
from typing import cast

from resonate.errors import AuthError, NetworkError, UsageError
from resonate.ports.network import Token

_HINT = "Check the token (RESONATE_TOKEN, or the argument token=), then open the client again."
_UNUSABLE = "is empty or contains characters that no header can carry"


class Credentials:
    """See the module's text. Safe from any thread and event loop.

    Args:
        source: see `Token`; None for a server that asks for nothing.
        server: its name, for the text of errors.
    """

    def __init__(self, source: Token | None, server: str) -> None:
        if isinstance(source, str):
            source = source.strip() or None
        self._static = source if isinstance(source, str) else None
        self._ask = source if callable(source) else None
        if source is not None and self._static is None and self._ask is None:
            raise UsageError(f"token is text or a function that returns text, not {type(source).__name__}.")
        if self._static is not None and not _is_token(self._static):
            raise UsageError(f"The token {_UNUSABLE}.", hint=_HINT)
        self._server = server
        self._lock = threading.Lock()
        self._token = self._static
        self._trouble: str | None = None
        self._asking: dict[AbstractEventLoop, Task[str]] = {}
        self._listeners: list[Callable[[AuthError], None]] = []

    def __repr__(self) -> str:
        """Say that there is a token, and not which."""
        return f"Credentials({'none' if self._static is None and self._ask is None else 'a token'})"

    def on_refusal(self, listener: Callable[[AuthError], None]) -> None:
        """Call `listener`, on any thread, when the server refuses for good."""
        self._listeners.append(listener)

    def reset(self) -> None:
        """Forget that the server refused."""
        with self._lock:
            self._trouble = None

    async def current(self) -> str | None:
        """Return the token to show. Raise `AuthError` if the server has refused for good."""
        if self._trouble is not None:
            raise self._error()
        if self._token is not None or self._ask is None:
            return self._token
        return await self._renewed()

    async def renew(self, refused: str | None) -> str:
        """Return another token than the one that was refused. Raise `AuthError` if there is none."""
        with self._lock:
            if self._trouble is None and self._token is not None and self._token != refused:
                return self._token  # somebody else has asked meanwhile
        if self._ask is None or self._trouble is not None:
            raise self.refuse()
        token = await self._renewed()
        if token == refused:
            raise self.refuse()
        return token

    def refuse(self) -> AuthError:
        """Take note that the server refuses for good; return the error that says so."""
        with self._lock:
            news = self._trouble is None
            self._trouble = "does not accept the token" if self._static or self._ask else "asks for a token"
        if news:
            for listener in self._listeners:
                listener(self._error())
        return self._error()

    def _error(self) -> AuthError:
        return AuthError(f"The server {self._server} {self._trouble}.", hint=_HINT)

    async def _renewed(self) -> str:
        """Ask for a token, once for all who want one on this event loop."""
        loop = asyncio.get_running_loop()
        asking = self._asking.get(loop)
        if asking is None:
            asking = self._asking[loop] = loop.create_task(self._new())
            asking.add_done_callback(lambda _: self._asking.pop(loop, None))
        return await asyncio.shield(asking)

    async def _new(self) -> str:
        assert self._ask is not None
        try:
            token = self._ask()
            if inspect.isawaitable(token):
                token = await token
        except Exception as error:  # noqa: BLE001 - whatever a user's function raises; its text may hold what is secret
            raise NetworkError(f"Asking for a token failed with {type(error).__name__}.", hint=_HINT) from None
        if not isinstance(cast("object", token), str):
            text = f"The function that gives the token returned {type(token).__name__}, not text."
            if self._token is None:
                raise UsageError(text)
            raise NetworkError(text, hint=_HINT)
        if not _is_token(token):
            raise NetworkError(f"The function that gives the token gave none: it {_UNUSABLE}.", hint=_HINT)
        with self._lock:
            self._token = token
        return token


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
