"""The blob port: where large values are kept."""

from __future__ import annotations

from typing import Protocol


class Blobs(Protocol):
    """Keeps byte strings under keys made from their content, so that a key never means two things.

    Called from several threads at a time, and from several processes on the same place. Nobody deletes through it:
    how long blobs are kept is for whoever owns the place.
    """

    def put(self, key: str, content: bytes) -> None:
        """Keep `content` under `key`; once this returns, it is there for good. Doing it again is harmless.

        A key is 64 hexadecimal digits: the SHA-256 of the content. Raise `StoreError`, retriable if it may pass by
        itself; then there is either nothing under the key, or all of it.
        """
        ...

    def get(self, key: str, size: int) -> bytes:
        """Return what is under `key`, or its first `size` bytes and one more if it is larger.

        Raise `NotFound` that names the place if there is nothing, another `StoreError` if that can't be told now.
        """
        ...
