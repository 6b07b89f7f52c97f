"""A server in a database file: for work that must survive, on one machine, with no server to run."""

from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.server import SqliteServer
from resonate.adapters.sqlite.store import SqliteStore
from resonate.adapters.sqlite.url import from_url

__all__ = ["Durability", "SqliteServer", "SqliteStore", "from_url"]
