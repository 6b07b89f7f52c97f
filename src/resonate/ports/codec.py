"""The codec port: defined beside the engine that needs it, named here for adapters and users."""

from resonate.core.values import Call, Codec, Signature

__all__ = ["Call", "Codec", "Signature"]
