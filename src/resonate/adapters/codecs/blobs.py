"""Blobs as files in a directory, safe against crashes.

Law 1: a file under its final name is whole, and is on the disk: it is written beside, flushed, renamed, and the folder
    is flushed.
Law 2: no name that comes from data reaches the file system, but 64 hexadecimal digits.
Law 3: nothing is deleted but what this process began to write and could not end.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from errno import EACCES, EDQUOT, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import TYPE_CHECKING, Final

from resonate.errors import NotFound, ServerError, StoreError, UsageError
from resonate.ports.blobs import Blobs

_KEY: Final = re.compile(r"[0-9a-f]{64}\Z")
_FULL: Final = (ENOSPC, EDQUOT)
_LASTING: Final = (EACCES, EPERM, EROFS, ENOTDIR)


class DirectoryBlobs:
    """Keep each blob as a file of a directory, which may be shared by processes and, if it is a network's, by machines.

    The file of the key `ab12...` is `ab/ab12...`. A file's time of modification is when its content was last put: what
    is older than the longest time that an execution is kept can be deleted.

    Args:
        directory: made when the first blob is put.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory).absolute()

    def __repr__(self) -> str:
        return f"DirectoryBlobs({str(self.directory)!r})"

    def put(self, key: str, content: bytes) -> None:
        """See the port."""
        path = self._path(key)
        try:
            if not _refreshed(path, content):
                _write(path, content)
        except OSError as error:
            raise self._failed(f"the blob {key} can't be written", error) from error

    def get(self, key: str, size: int) -> bytes:
        """See the port."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                return file.read(size + 1)
        except FileNotFoundError:
            raise NotFound(
                f"There is no blob {key} in {self.directory}.",
                hint="Give all workers the same directory; a blob must be kept as long as a promise refers to it.",
            ) from None
        except OSError as error:
            raise self._failed(f"the blob {key} can't be read", error) from error

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise UsageError(f"A blob's key is 64 hexadecimal digits, not {key!r:.80}.")
        return self.directory / key[:2] / key

    def _failed(self, what: str, error: OSError) -> StoreError:
        if error.errno in _LASTING:
            return StoreError(
                f"In {self.directory}, {what}: {error.strerror}.",
                hint="Give this user the right to read and write there.",
            )
        why = "there is no space left" if error.errno in _FULL else f"{error.strerror or error}"
        return ServerError(
            f"In {self.directory}, {what}: {why}.", hint="This goes on by itself once that is mended; nothing is lost."
        )


def _refreshed(path: Path, content: bytes) -> bool:
    """Say whether this content is there; then it is on the disk, too, and its file is as young as a new one."""
    try:
        with path.open("rb") as file:
            if file.read(len(content) + 1) != content:
                return False  # damaged, since its name is its content's
            now = time.time_ns()
            os.utime(file.fileno(), ns=(now, now))
            os.fsync(file.fileno())
    except FileNotFoundError:
        return False
    _flush(path.parent)
    return True


def _write(path: Path, content: bytes) -> None:
    for folder in (path.parent.parent, path.parent):
        _make(folder)
    beside = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    _flush(path.parent)


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _flush(folder.parent)


def _flush(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


if TYPE_CHECKING:
    _implements: type[Blobs] = DirectoryBlobs
