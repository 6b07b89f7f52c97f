"""A store of any network: envelopes, credentials, and asking a server how it speaks."""

from resonate.adapters.remote.credentials import Credentials
from resonate.adapters.remote.store import RemoteStore

__all__ = ["Credentials", "RemoteStore"]
