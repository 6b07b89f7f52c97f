"""The protocol as JSON: requests, replies and messages to bytes and back, for both sides of the wire.

Law 1: decoding never raises anything but what its docstring says, whatever the bytes.
Law 2: what we send is strict; what we accept is strict about types (`true` and `5.0` are no integers) and tolerant
of what servers in the field do: null is absent, unknown members are ignored.
"""

from resonate.core.protocol.wire.fields import VERSION
from resonate.core.protocol.wire.messages import decode_message, encode_message
from resonate.core.protocol.wire.replies import OthersReply, decode_reply, encode_reply
from resonate.core.protocol.wire.requests import Incoming, decode_request, encode_request

__all__ = [
    "VERSION",
    "Incoming",
    "OthersReply",
    "decode_message",
    "decode_reply",
    "decode_request",
    "encode_message",
    "encode_reply",
    "encode_request",
]
