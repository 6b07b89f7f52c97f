"""Durable execution for Python: ordinary functions that survive a crash.

Every public name is here; each is documented where it is defined.
"""

from __future__ import annotations

from resonate.adapters.codecs.checked import Checked
from resonate.adapters.codecs.choice import Codecs
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.memory import MemoryServer
from resonate.adapters.sqlite import SqliteServer
from resonate.client import Resonate
from resonate.core import trace
from resonate.core.engine.children import Durable
from resonate.core.engine.context import Context
from resonate.core.engine.info import Info
from resonate.core.protocol.records import PromiseRecord, PromiseState, ScheduleRecord
from resonate.core.retry import Constant, Exponential, Linear, Never, RetryPolicy
from resonate.errors import (
    ApplicationError,
    AuthError,
    CodecError,
    Conflict,
    DecodingError,
    DeterminismError,
    EncodingError,
    EngineBug,
    FunctionNotRegistered,
    LeaseLost,
    NetworkError,
    NondeterminismError,
    NonRetryableError,
    NotFound,
    PromiseCanceled,
    PromiseTimedOut,
    ResonateError,
    ServerError,
    StoreError,
    UsageError,
)
from resonate.runtime.handle import Handle
from resonate.runtime.health import Health

__all__ = [
    "ApplicationError",
    "AuthError",
    "Checked",
    "CodecError",
    "Codecs",
    "Conflict",
    "Constant",
    "Context",
    "DecodingError",
    "DeterminismError",
    "Durable",
    "EncodingError",
    "EngineBug",
    "Exponential",
    "FunctionNotRegistered",
    "Handle",
    "Health",
    "Info",
    "JsonCodec",
    "LeaseLost",
    "Linear",
    "MemoryServer",
    "NetworkError",
    "Never",
    "NonRetryableError",
    "NondeterminismError",
    "NotFound",
    "PromiseCanceled",
    "PromiseRecord",
    "PromiseState",
    "PromiseTimedOut",
    "Resonate",
    "ResonateError",
    "RetryPolicy",
    "ScheduleRecord",
    "ServerError",
    "SqliteServer",
    "StoreError",
    "UsageError",
    "trace",
]
