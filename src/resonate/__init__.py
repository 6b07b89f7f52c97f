"""Durable execution for Python: ordinary functions that survive a crash.

Every public name is here; each is documented where it is defined, and loaded when it is first asked for: a program
that talks to a server loads no SQLite, and one that only catches an error loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resonate import errors as errors
    from resonate import sync as sync
    from resonate.adapters.codecs.blobs import DirectoryBlobs
    from resonate.adapters.codecs.checked import Checked
    from resonate.adapters.codecs.choice import Codecs
    from resonate.adapters.codecs.compressed import Compressed
    from resonate.adapters.codecs.encrypted import Encrypted
    from resonate.adapters.codecs.json import JsonCodec
    from resonate.adapters.codecs.keys import Keyring
    from resonate.adapters.codecs.limited import Limited
    from resonate.adapters.codecs.offloaded import Offloaded
    from resonate.adapters.codecs.pickle import PickleCodec
    from resonate.adapters.memory import MemoryServer
    from resonate.adapters.otel import OTel
    from resonate.adapters.sqlite import SqliteServer
    from resonate.client import Resonate
    from resonate.core import trace as trace  # handed on
    from resonate.core.engine.children import Durable
    from resonate.core.engine.context import Context
    from resonate.core.engine.info import Info
    from resonate.core.insight.causes import Cause, CauseKind, Why
    from resonate.core.insight.tree import Node, Tree
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
        NotReadableHere,
        PromiseCanceled,
        PromiseTimedOut,
        ReplyTooLong,
        ResonateError,
        ServerError,
        StoreError,
        UsageError,
    )
    from resonate.runtime.handle import Handle
    from resonate.runtime.health import Health
    from resonate.runtime.recording import Recording

__all__ = [
    "ApplicationError",
    "AuthError",
    "Cause",
    "CauseKind",
    "Checked",
    "CodecError",
    "Codecs",
    "Compressed",
    "Conflict",
    "Constant",
    "Context",
    "DecodingError",
    "DeterminismError",
    "DirectoryBlobs",
    "Durable",
    "EncodingError",
    "Encrypted",
    "EngineBug",
    "Exponential",
    "FunctionNotRegistered",
    "Handle",
    "Health",
    "Info",
    "JsonCodec",
    "Keyring",
    "LeaseLost",
    "Limited",
    "Linear",
    "MemoryServer",
    "NetworkError",
    "Never",
    "Node",
    "NonRetryableError",
    "NondeterminismError",
    "NotFound",
    "NotReadableHere",
    "OTel",
    "Offloaded",
    "PickleCodec",
    "PromiseCanceled",
    "PromiseRecord",
    "PromiseState",
    "PromiseTimedOut",
    "Recording",
    "ReplyTooLong",
    "Resonate",
    "ResonateError",
    "RetryPolicy",
    "ScheduleRecord",
    "ServerError",
    "SqliteServer",
    "StoreError",
    "Tree",
    "UsageError",
    "Why",
]

_HOMES = {
    "resonate.adapters.codecs.checked": ("Checked",),
    "resonate.core.insight.tree": ("Tree", "Node"),
    "resonate.core.insight.causes": ("Why", "CauseKind", "Cause"),
    "resonate.adapters.codecs.pickle": ("PickleCodec",),
    "resonate.adapters.codecs.offloaded": ("Offloaded",),
    "resonate.adapters.codecs.limited": ("Limited",),
    "resonate.adapters.codecs.keys": ("Keyring",),
    "resonate.adapters.codecs.encrypted": ("Encrypted",),
    "resonate.adapters.codecs.compressed": ("Compressed",),
    "resonate.adapters.codecs.blobs": ("DirectoryBlobs",),
    "resonate.adapters.otel": ("OTel",),
    "resonate.adapters.codecs.choice": ("Codecs",),
    "resonate.adapters.codecs.json": ("JsonCodec",),
    "resonate.adapters.memory": ("MemoryServer",),
    "resonate.adapters.sqlite": ("SqliteServer",),
    "resonate.client": ("Resonate",),
    "resonate.core.engine.children": ("Durable",),
    "resonate.core.engine.context": ("Context",),
    "resonate.core.engine.info": ("Info",),
    "resonate.core.protocol.records": (
        "PromiseRecord",
        "PromiseState",
        "ScheduleRecord",
    ),
    "resonate.core.retry": (
        "Constant",
        "Exponential",
        "Linear",
        "Never",
        "RetryPolicy",
    ),
    "resonate.errors": (
        "ApplicationError",
        "AuthError",
        "CodecError",
        "Conflict",
        "DecodingError",
        "DeterminismError",
        "EncodingError",
        "EngineBug",
        "FunctionNotRegistered",
        "LeaseLost",
        "NetworkError",
        "NonRetryableError",
        "NondeterminismError",
        "NotFound",
        "NotReadableHere",
        "PromiseCanceled",
        "PromiseTimedOut",
        "ReplyTooLong",
        "ResonateError",
        "ServerError",
        "StoreError",
        "UsageError",
    ),
    "resonate.runtime.handle": ("Handle",),
    "resonate.runtime.health": ("Health",),
    "resonate.runtime.recording": ("Recording",),
}

_MODULES = {"errors": "resonate.errors", "sync": "resonate.sync", "trace": "resonate.core.trace"}
"""Public, too, and not among the names that `import *` gives: they would hide others of a program's own."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # which knows the names, and is to complain of others

    def __getattr__(name: str) -> Any:
        """Load a public name from where it is defined."""
        if name in _MODULES:
            return import_module(_MODULES[name])
        home = _HOME_OF.get(name)
        if home is None:
            msg = f"module 'resonate' has no attribute {name!r}"
            raise AttributeError(msg)
        found = getattr(import_module(home), name)
        globals()[name] = found  # from now on it is found without a call
        return found


def __dir__() -> list[str]:
    """List the public names beside the rest, loaded or not."""
    return sorted({*globals(), *__all__, *_MODULES})
