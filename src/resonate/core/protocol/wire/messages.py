"""The messages that a server sends to workers and listeners: `{kind, head, data}`.

Law 1: a message that cannot be read is a `Rejection`, to be dropped and reported; it never kills its receiver.
"""

from __future__ import annotations

from typing import assert_never, cast

import orjson

from resonate.core.protocol.records import Execute, Message, Unblock
from resonate.core.protocol.requests import Rejection
from resonate.core.protocol.wire.fields import Json, Malformed, as_object, dumps, integer, member, text
from resonate.core.protocol.wire.records import promise_from_wire, promise_to_wire


def encode_message(message: Message, server_url: str = "") -> bytes:
    """Return the message as JSON; `server_url` tells a worker where to acquire the task."""
    match message:
        case Execute(id, version):
            data: Json = {"task": {"id": id, "version": version}}
            return dumps({"kind": "execute", "head": {"serverUrl": server_url}, "data": data})
        case Unblock(promise):
            return dumps({"kind": "unblock", "head": {}, "data": {"promise": promise_to_wire(promise)}})
        case _:
            assert_never(message)


def decode_message(body: bytes | str) -> Message | Rejection:
    """Read a message; never raises. The head says nothing that is needed, and some servers leave it out."""
    try:
        envelope = as_object(cast("object", orjson.loads(body)), "the message")
        kind = text(envelope, "kind")
        if kind == "execute":
            return member(envelope, "data", lambda data: member(data, "task", _read_task))
        if kind == "unblock":
            return member(envelope, "data", lambda data: Unblock(member(data, "promise", promise_from_wire)))
    except Malformed as malformed:
        return Rejection(400, f"a message cannot be read: {malformed}")
    except ValueError:
        return Rejection(400, "a message cannot be read: it is not JSON")
    return Rejection(400, f"a message of the kind {kind} is not known")


def _read_task(data: Json) -> Execute:
    return Execute(text(data, "id"), integer(data, "version"))
