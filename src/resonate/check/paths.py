"""Checks files and folders."""

from __future__ import annotations

import tokenize
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from attrs import frozen

from resonate.check.findings import Finding
from resonate.check.module import check_source
from resonate.check.settings import DEFAULT_SETTINGS, CheckSettings

_PASSED_OVER: Final = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist", "venv"})


@frozen
class Unreadable:
    """Something that was to be checked and could not be read."""

    path: str
    reason: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.path}: {self.reason}"


@frozen
class Checked:
    """What came of it.

    Args:
        findings: in the order of the files, then of the lines.
        unreadable: files that are no Python, paths that do not exist.
        files: how many files were read.
    """

    findings: tuple[Finding, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    files: int = 0

    @property
    def exit_code(self) -> int:
        """What a command ends with: 0 for nothing found, 1 for findings, 2 for something unreadable."""
        if self.unreadable:
            return 2
        return 1 if self.findings else 0


def check_paths(paths: Iterable[str | Path], settings: CheckSettings = DEFAULT_SETTINGS) -> Checked:
    """Check files, and all Python files of folders; hidden folders and virtual environments are passed over."""
    findings: list[Finding] = []
    unreadable: list[Unreadable] = []
    seen: set[Path] = set()
    for path in paths:
        given = Path(path)
        if not given.exists():
            unreadable.append(Unreadable(str(given), "there is no such file or folder."))
            continue
        for file in _files(given, settings):
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            try:
                with tokenize.open(file) as opened:  # by its coding line, as Python reads it
                    source = opened.read()
                findings += [one for one in check_source(source, str(file)) if settings.wants(one.code)]
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
                unreadable.append(Unreadable(str(file), f"can't be read: {_reason(error)}."))
    return Checked(tuple(findings), tuple(unreadable), len(seen))


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        where = f" in line {error.lineno}" if error.lineno else ""
        return f"{error.msg}{where}"
    return str(error) or type(error).__name__


def _files(path: Path, settings: CheckSettings) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if any(fnmatch(entry.name, pattern) or fnmatch(entry.as_posix(), pattern) for pattern in settings.exclude):
            continue
        if entry.is_dir():
            hidden = entry.name.startswith(".") or entry.name in _PASSED_OVER
            if not hidden and not entry.is_symlink() and not (entry / "pyvenv.cfg").exists():
                yield from _files(entry, settings)
        elif entry.suffix == ".py":
            yield entry
