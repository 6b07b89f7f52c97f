"""The codec port: defined beside the engine that needs it, named here for adapters and users."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from resonate.core.values import CONTENT_ENCODING, CONTENT_TYPE, Call, Codec, Signature, WritesPlain, place_of_param
from resonate.errors import UsageError

__all__ = [
    "CONTENT_ENCODING",
    "CONTENT_TYPE",
    "Call",
    "Codec",
    "RegistersErrors",
    "Signature",
    "WritesPlain",
    "check_codec",
    "place_of_param",
    "register_error",
]

E = TypeVar("E", bound=type[Exception])
_BOUND: Final = ("encode", "decode", "encode_call", "decode_call", "encode_error", "decode_error")


@runtime_checkable
class RegistersErrors(Protocol):
    """A codec that can be told of failures that come back as themselves; what wraps codecs hands it on."""

    def register_error(self, cls: E) -> E:
        """Let failures of this class come back as themselves."""
        ...


def register_error(codec: Codec, cls: E) -> E:
    """Tell a codec of a class of failures. Raise `UsageError` if it knows of no such thing."""
    if not isinstance(codec, RegistersErrors):
        raise UsageError(
            f"{type(codec).__name__} has no register_error.",
            hint="Give it one; a codec that wraps another hands it on.",
        )
    return codec.register_error(cls)


def check_codec(codec: Any) -> Codec:
    """Return the codec if it has the port's methods. Raise `UsageError` that says what to add."""
    name = codec.__qualname__ if isinstance(codec, type) else type(codec).__qualname__
    missing = [method for method in ("reads", *_BOUND) if not callable(getattr(codec, method, None))]
    if missing or isinstance(codec, type):
        raise UsageError(
            f"{name} is no codec: it lacks {', '.join(missing)}." if missing else f"{name} is a class, not a codec.",
            hint="A codec has the methods of resonate.ports.codec.Codec; JsonCodec() and what wraps one do.",
        )
    deaf = [method for method in _BOUND if not _takes_at(getattr(codec, method))]
    if deaf:
        raise UsageError(
            f"{name} does not take `at` in {', '.join(deaf)}.",
            hint='Add the parameter `*, at: str = ""` to these: the id of the promise that the value belongs to.',
        )
    result: Codec = codec
    return result


def _takes_at(method: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):  # written in C: only a call can tell
        return True
    at = parameters.get("at")
    if at is not None and at.kind in {at.KEYWORD_ONLY, at.POSITIONAL_OR_KEYWORD}:
        return True
    return any(each.kind is each.VAR_KEYWORD for each in parameters.values())
