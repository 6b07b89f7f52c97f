"""What the operator of a server may choose."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen, validators


@frozen(kw_only=True)
class Settings:
    """Settings of the machine.

    Args:
        retry_interval: ms after which an unanswered `Execute` is sent again; positive.
        targeted_timers: accept promises that are both timer and targeted, as deployed SDKs send them for
            every sleep; their tasks are never dispatched.
    """

    retry_interval: int = field(default=5_000, validator=validators.gt(0))
    targeted_timers: bool = False


DEFAULT_SETTINGS: Final = Settings()
