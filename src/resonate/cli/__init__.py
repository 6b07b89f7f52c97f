"""The `resonate` command. Its libraries are an extra: `pip install 'resonate-durable[cli]'`.

One module for each group of commands; each has a Typer application, or adds to that of `app`.
"""

from __future__ import annotations

import sys
from importlib import import_module

MISSING = "resonate: this command needs more: pip install 'resonate-durable[cli]'"


def main() -> None:
    """Run the command, and leave with its exit code."""
    try:
        for library in ("rich", "typer"):
            import_module(library)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"rich", "typer"}:
            raise
        sys.stderr.write(f"{MISSING}\n")
        sys.exit(2)
    from resonate.cli.app import run  # noqa: PLC0415 - imports the libraries

    run()
