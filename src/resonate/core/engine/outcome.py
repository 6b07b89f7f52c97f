"""What a settled promise means to whoever awaits it."""

from __future__ import annotations

from typing import Any

from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.values import Codec
from resonate.errors import CodecError, DecodingError, PromiseCanceled, PromiseTimedOut


def outcome_of(codec: Codec, record: PromiseRecord, returns: Any) -> tuple[object, Exception | None]:
    """Return the value of a settled promise and None, or None and the error to raise."""
    match record.state:
        case PromiseState.RESOLVED:
            try:
                return codec.decode(record.value, returns, at=record.id), None
            except CodecError as error:
                error.step = record.id
                return None, error
            except Exception as error:  # noqa: BLE001 - a user's hook failed; it must not take the engine with it
                return None, DecodingError(f"The result can't be read: {error!r}.", step=record.id)
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
