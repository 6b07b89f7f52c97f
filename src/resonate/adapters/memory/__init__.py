"""A server in this process's memory: for tests, for a first try, and for work that need not outlive the process."""

from resonate.adapters.memory.server import MemoryServer
from resonate.adapters.memory.store import MemoryStore

__all__ = ["MemoryServer", "MemoryStore"]
