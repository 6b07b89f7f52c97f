"""What a file looks like inside, how an older one becomes a newer one, and which files are not ours.

Law 1: a file carries our application id from its first page on; a file without it, or with another's, is not written.
Law 2: `MIGRATIONS[n]` leads from version n to n + 1, each in a transaction of its own; a released one never changes.
Law 3: what grows with history is rows of its own; no statement of a step reads more than it needs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from resonate.errors import StoreError

APPLICATION_ID: Final = 0x52534E54  # "RSNT"
FLOOR: Final = (3, 40, 0)
"""The oldest SQLite that this is tested with."""

MIGRATIONS: Final[Sequence[str]] = (
    """
    -- Facts about the file as a whole.
    CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO facts VALUES ('now', 0); -- the clock as last used, in epoch ms: it does not run backwards

    -- Ids of executions and branches, which many promises name, each stored once.
    CREATE TABLE names (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

    CREATE TABLE promises (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        timeout_at INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        settled_at INTEGER,
        home INTEGER, -- names.n: the branch whose history it belongs to
        origin INTEGER, -- names.n: its tag resonate:origin
        due_at INTEGER, -- when its deadline has to be enforced
        -- What may be long comes last, so that nobody has to read over it.
        tags TEXT, -- JSON, as the headers; NULL if there are none
        param_headers TEXT,
        param_data TEXT,
        value_headers TEXT,
        value_data TEXT
    ) STRICT;
    CREATE INDEX promises_by_home ON promises (home) WHERE home IS NOT NULL;
    CREATE INDEX promises_by_origin ON promises (origin) WHERE origin IS NOT NULL;
    CREATE INDEX promises_alone ON promises (settled_at) WHERE origin IS NULL AND settled_at IS NOT NULL;
    CREATE INDEX promises_due ON promises (due_at, id) WHERE due_at IS NOT NULL;

    CREATE TABLE tasks (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        pid TEXT,
        ttl INTEGER,
        expires_at INTEGER,
        retry_at INTEGER,
        due_at INTEGER -- when its lease lapses or it is offered again
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tasks_due ON tasks (due_at, id) WHERE due_at IS NOT NULL;

    CREATE TABLE schedules (
        id TEXT PRIMARY KEY,
        cron TEXT NOT NULL,
        promise_id TEXT NOT NULL,
        promise_timeout INTEGER NOT NULL,
        promise_param_headers TEXT,
        promise_param_data TEXT,
        promise_tags TEXT,
        created_at INTEGER NOT NULL,
        next_run_at INTEGER NOT NULL,
        last_run_at INTEGER,
        due_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX schedules_due ON schedules (due_at, id) WHERE due_at IS NOT NULL;

    -- Obligations, in the order in which they came (n).
    CREATE TABLE callbacks (
        n INTEGER PRIMARY KEY, awaited TEXT NOT NULL, awaiter TEXT NOT NULL, UNIQUE (awaited, awaiter)
    ) STRICT;
    CREATE TABLE listeners (
        n INTEGER PRIMARY KEY, promise TEXT NOT NULL, address TEXT NOT NULL, UNIQUE (promise, address)
    ) STRICT;
    CREATE TABLE resumes (
        n INTEGER PRIMARY KEY, task TEXT NOT NULL, awaited TEXT NOT NULL, UNIQUE (task, awaited)
    ) STRICT;

    -- Who works on this file: processes, each holding a lock while it lives, and their connections.
    CREATE TABLE processes (token TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE members (
        n INTEGER PRIMARY KEY, process TEXT NOT NULL, name TEXT NOT NULL, pid TEXT NOT NULL
    ) STRICT;

    -- Messages to the connections of other processes, and those that wait for somebody to connect (process NULL).
    -- An unblock has the listener's address; its record is the promise's.
    CREATE TABLE outbox (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        listener TEXT NOT NULL,
        address TEXT NOT NULL,
        version INTEGER,
        process TEXT,
        UNIQUE (id, listener)
    ) STRICT;
    CREATE INDEX outbox_by_process ON outbox (process, n);
    """,
    """
    -- A promise that is settled and has callbacks or listeners left is due at once: whoever comes next does them.
    UPDATE promises SET due_at = -1
    WHERE state <> 'pending' AND id IN (SELECT awaited FROM callbacks UNION SELECT promise FROM listeners);
    """,
    """
    -- In the order in which an execution is paged through: else each page sorts all of it.
    DROP INDEX IF EXISTS promises_by_origin;
    CREATE INDEX promises_by_origin ON promises (origin, id) WHERE origin IS NOT NULL;
    -- Whether a task has yet to hear of a promise, which forgetting asks of each.
    CREATE INDEX IF NOT EXISTS resumes_by_awaited ON resumes (awaited);
    """,
)


def check_library() -> None:
    """Raise `StoreError` if the SQLite of this Python is older than what we are tested with."""
    if sqlite3.sqlite_version_info < FLOOR:
        floor = ".".join(map(str, FLOOR))
        raise StoreError(
            f"This Python has SQLite {sqlite3.sqlite_version}; {floor} or later is needed.",
            hint="Use a Python that is built with a newer SQLite.",
        )


def check_ours(path: Path) -> None:
    """Raise `StoreError` if there is a file that is not ours, or too new for us, without touching it.

    A file that is empty is as good as none. One whose creator died has our id in its header, or is empty.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if not size:
        return
    try:
        application_id, version, length = read_header(path)
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise _not_ours(path, "is no SQLite database") from None
        return  # opening it will say what is wrong
    if not length:
        raise _not_ours(path, "is no SQLite database")
    if application_id != APPLICATION_ID:
        raise _not_ours(path, "is the database of another program")
    if version > len(MIGRATIONS):
        raise _too_new(path, version, len(MIGRATIONS))


def read_header(path: Path) -> tuple[int, int, int]:
    """Return what a file's header says: application id, schema version, length in bytes. Raise `sqlite3.Error`.

    Read by SQLite, without a lock and without the log, and never by a descriptor of our own: the system takes all locks
    of a process on a file away when the process closes any descriptor of it, and SQLite alone knows when it may.
    """
    with closing(open_as_it_lies(path)) as connection:
        return _pragma(connection, "application_id"), _pragma(connection, "user_version"), length_of(connection)


def read_now(path: Path) -> int:
    """Return the instant that a file of ours has seen, without what is in its log. Read as the header is."""
    with closing(open_as_it_lies(path)) as connection:
        now: int = connection.execute("SELECT value FROM facts WHERE name = 'now'").fetchone()[0]
        return now


def length_of(connection: sqlite3.Connection) -> int:
    """Return how many bytes a file has, as a connection sees it."""
    return _pragma(connection, "page_count") * _pragma(connection, "page_size")


def open_as_it_lies(path: Path) -> sqlite3.Connection:
    """Open a file to read it without a lock and without its log, as if it could not change."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def claim(connection: sqlite3.Connection, path: Path) -> None:
    """Make an empty file ours, in its header, before it gets a log. Raise `StoreError` if it isn't empty."""
    if _pragma(connection, "application_id") == APPLICATION_ID:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _pragma(connection, "application_id") != APPLICATION_ID:  # and no other process was quicker
            if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                raise _not_ours(path, "is the database of another program")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a file that is ours to the newest version. Raise `StoreError` if it is newer than that."""
    while (version := _pragma(connection, "user_version")) != len(migrations):
        if version > len(migrations):
            raise _too_new(path, version, len(migrations))
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _pragma(connection, "user_version") == version:  # and no other process was quicker
                for statement in _statements(migrations[version]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `StoreError` unless a file that is ours can be read as it is, without a migration."""
    version = _pragma(connection, "user_version")
    if version > len(MIGRATIONS):
        raise _too_new(path, version, len(MIGRATIONS))
    if version < len(MIGRATIONS):
        raise StoreError(
            f"The file {path} is of an older version of this library, or nothing was ever done in it.",
            hint="It is brought up to date when a worker starts on it.",
        )


def _too_new(path: Path, version: int, known: int) -> StoreError:
    return StoreError(
        f"The file {path} has schema version {version}; this version of the library knows {known}.",
        hint="Upgrade the library, or use another file. This one is left as it is.",
    )


def _not_ours(path: Path, what: str) -> StoreError:
    return StoreError(f"The file {path} {what}.", hint="It is left untouched. Give the path of a file of its own.")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _statements(script: str) -> Sequence[str]:
    """Split a script: `executescript` would commit the transaction that it is to be part of."""
    statements: list[str] = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            statements.append(text)
            text = ""
    return statements
