"""zstd for the tests, which need the extras: Python's own from 3.14 on, before that the package."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["zstd"]
