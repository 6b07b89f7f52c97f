"""What a settled promise means to whoever awaits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resonate.core.engine.identity import CALL
from resonate.core.engine.loop import Future
from resonate.core.function import RESOLVE
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag
from resonate.core.values import UNTYPED, Codec, Signature
from resonate.errors import CodecError, DecodingError, PromiseCanceled, PromiseTimedOut


def placed(error: CodecError, what: str, *, execution: str, step: str, signature: Signature = UNTYPED) -> CodecError:
    """Say in an error what could not be written or read, and where that was."""
    error.message = f"{what}: {error.message}"
    error.execution, error.step = execution, step
    return with_unresolved(error, signature)


def with_unresolved(error: CodecError, signature: Signature) -> CodecError:
    """Say in an error which annotations of the function count for nothing, if any do."""
    if signature.unresolved:
        error.hint = f"Of the function, {'; '.join(signature.unresolved)}. {RESOLVE}"
    return error


def with_unawaited(error: CodecError, *values: object) -> CodecError:
    """Say in an error that what can't be written is a call that was not awaited, if one of these values is."""
    if any(isinstance(value, Future) for value in values):
        error.hint = (
            "Await it: this is the handle of a durable call, and not its result. What `await ctx.promise()` gives is a "
            "handle, too, and is awaited again."
        )
    return error


def converted(convert: Callable[[PromiseRecord], object], record: PromiseRecord) -> tuple[object, Exception | None]:
    """Return what a promise's record is converted to and None, or None and the error to raise."""
    return _read(record, lambda: convert(record))


def outcome_of(codec: Codec, record: PromiseRecord, returns: Any) -> tuple[object, Exception | None]:
    """Return the value of a settled promise and None, or None and the error to raise."""
    match record.state:
        case PromiseState.RESOLVED:
            return _read(record, lambda: codec.decode(record.value, returns, at=record.id))
        case PromiseState.REJECTED:
            return None, codec.decode_error(record.value, at=record.id)
        case PromiseState.REJECTED_CANCELED:
            return None, PromiseCanceled(f"The promise {record.id} was canceled.", step=record.id)
        case _:
            return None, PromiseTimedOut(
                f"The promise {record.id} passed its deadline before anyone settled it.",
                hint="Give the call a longer timeout, or handle PromiseTimedOut.",
                step=record.id,
            )


def _read(record: PromiseRecord, read: Callable[[], object]) -> tuple[object, Exception | None]:
    call, execution = record.param.headers.get(CALL), record.tags.get(Tag.ORIGIN, record.id)
    what = f"the result of {call}" if call else "the result"
    try:
        return read(), None
    except CodecError as error:
        return None, placed(error, what, execution=execution, step=record.id)
    except Exception as error:  # noqa: BLE001 - a user's hook failed; it must not take the engine with it
        return None, DecodingError(f"{what} can't be read: {error!r}", execution=execution, step=record.id)
