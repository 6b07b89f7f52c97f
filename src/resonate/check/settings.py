"""Which rules to check, and which files to leave out."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

from attrs import frozen

from resonate.check.rules import RULES
from resonate.errors import UsageError


@frozen(kw_only=True)
class CheckSettings:
    """What `select` and `ignore` say, each a code or the beginning of some; the longer one wins.

    Args:
        select: rules to check; all by default.
        ignore: rules not to check.
        exclude: patterns of names or paths that are passed over in folders.
    """

    select: tuple[str, ...] = ("RSN",)
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def wants(self, code: str) -> bool:
        """Say whether a rule is to be checked."""
        return _longest(self.select, code) > _longest(self.ignore, code)


DEFAULT_SETTINGS: Final = CheckSettings()


def settings_of(folder: Path | None = None, *, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> CheckSettings:
    """Return the settings of `[tool.resonate.check]` in the nearest pyproject.toml, and what is asked for on top.

    Raise `UsageError` for a code that no rule has, and for a table that can't be read.

    Args:
        folder: where to start looking; the current one by default.
        select: in place of the table's.
        ignore: beside the table's.
    """
    table = _table(Path.cwd() if folder is None else folder)
    return CheckSettings(
        select=_codes(select) or _codes(_texts(table, "select")) or DEFAULT_SETTINGS.select,
        ignore=(*_codes(_texts(table, "ignore")), *_codes(ignore)),
        exclude=_texts(table, "exclude"),
    )


def _table(folder: Path) -> dict[str, Any]:
    for place in (folder, *folder.absolute().parents):
        file = place / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{file} can't be read: {error}.") from error
        for name in ("tool", "resonate", "check"):
            found = cast("dict[str, Any]", found).get(name, {}) if isinstance(found, dict) else {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    return {}


def _texts(table: dict[str, Any], name: str) -> tuple[str, ...]:
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in cast("list[object]", found)):
        raise UsageError(f"tool.resonate.check.{name} in pyproject.toml is a list of texts, not {found!r}.")
    return tuple(cast("list[str]", found))


def _codes(given: Iterable[str]) -> tuple[str, ...]:
    codes = tuple(code.strip().upper() for one in given for code in one.split(",") if code.strip())
    for code in codes:
        if not any(known.startswith(code) for known in RULES):
            raise UsageError(f"No rule has the code {code}.", hint=f"There are {', '.join(RULES)}.")
    return codes


def _longest(beginnings: Iterable[str], code: str) -> int:
    return max((len(one) for one in beginnings if code.startswith(one)), default=0)
