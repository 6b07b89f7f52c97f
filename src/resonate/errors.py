"""The error tree, sorted by who must act.

Every error is a `ResonateError`; its text says what happened, where, and what to do next.
Errors survive pickling and copying with their attributes.
"""

from __future__ import annotations

from typing import ClassVar


class ResonateError(Exception):
    """Base of all errors of this library.

    Args:
        message: what happened, as a sentence.
        hint: what to do next, as a sentence; it is appended to the text.
        execution: id of the execution (root promise or task) concerned, where there is one.
        step: id of the durable promise concerned, where there is one.
    """

    retriable: ClassVar[bool] = False

    def __init__(
        self, message: str = "", *, hint: str | None = None, execution: str | None = None, step: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.execution = execution
        self.step = step

    def __str__(self) -> str:
        """Return the message, where it happened, and the next action."""
        where = self.step or self.execution
        text = f"{self.message} [{where}]" if where and where not in self.message else self.message
        return f"{text} {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the message, then restore every attribute."""
        return (type(self), (self.message,), self.__dict__)


# ---------------------------------------------------------------- you


class UsageError(ResonateError):
    """The library was called in a way that can't work; fix the call."""


class FunctionNotRegistered(UsageError):
    """A function is asked for by a name (and version) that is not registered in this process."""


class DeterminismError(UsageError):
    """A workflow tried to leave the durable loop: a socket, a thread, a foreign future."""


class NondeterminismError(ResonateError):
    """A replay asked for something else than the history records; the code changed under a running execution.

    Nothing is lost: restore the code, or register the change as a new version, and the execution goes on.
    """


# ---------------------------------------------------------------- your function


class ApplicationError(ResonateError):
    """A function failed with an error whose type can't be rebuilt here.

    `name` is the original type's name, `details` what was recorded beside the message.
    """

    def __init__(
        self,
        message: str = "",
        *,
        name: str = "",
        details: object = None,
        hint: str | None = None,
        execution: str | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, execution=execution, step=step)
        self.name = name
        self.details = details

    def __str__(self) -> str:
        """Return the original type's name and message."""
        text = super().__str__()
        return f"{self.name}: {text}" if self.name else text


class NonRetryableError(ResonateError):
    """Raise this from a step, or derive from it, to fail without another attempt."""


class PromiseTimedOut(ResonateError):
    """The awaited promise passed its deadline before anyone settled it."""


class PromiseCanceled(ResonateError):
    """The awaited promise was canceled."""


# ---------------------------------------------------------------- the store


class StoreError(ResonateError):
    """The store refused, or could not answer.

    `retry_after_ms` is how long a server asks to be left alone, None if it does not say.
    """

    retry_after_ms: int | None = None


class LeaseLost(StoreError):
    """Another worker holds the task now; this one stopped driving it. Benign."""


class NotFound(StoreError):
    """No object has this id."""


class Conflict(StoreError):
    """The object exists in a state, or with a meaning, that contradicts the request."""


class AuthError(StoreError):
    """The server does not accept the credentials. Not retried."""


class ServerError(StoreError):
    """The server failed (5xx), or answered what the protocol does not know."""

    retriable = True


class ReplyTooLong(StoreError):
    """The server's reply is longer than this process reads. Not retried: it would be as long again."""


class NetworkError(StoreError):
    """The server could not be reached, or the connection broke."""

    retriable = True


# ---------------------------------------------------------------- values


class CodecError(ResonateError):
    """A value could not cross the durability boundary."""


class EncodingError(CodecError):
    """A value can't be written by the codec; `path` leads to the bad part (`order.items[3].price`)."""

    def __init__(
        self,
        message: str = "",
        *,
        path: str = "",
        hint: str | None = None,
        execution: str | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, execution=execution, step=step)
        self.path = path


class DecodingError(CodecError):
    """Stored data does not fit the type it is read as; `path` leads to the bad part."""

    def __init__(
        self,
        message: str = "",
        *,
        path: str = "",
        hint: str | None = None,
        execution: str | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, execution=execution, step=step)
        self.path = path


class NotReadableHere(DecodingError):
    """This process lacks what it takes to read stored data, and another may have it: a key, a codec, a blob, a library.

    Nothing is lost: an execution that meets it is kept, and goes on once a worker can read what it needs.
    """


# ---------------------------------------------------------------- us


class EngineBug(ResonateError):
    """Resonate broke one of its own laws. Please report it with the text."""
