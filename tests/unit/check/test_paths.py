"""Files, folders, settings, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resonate.check import CheckSettings, as_json, as_text, check_paths, settings_of
from resonate.errors import UsageError
from tests.docs.pages import ROOT

BAD = "import time\nfrom resonate import Context\nasync def flow(ctx: Context) -> float:\n    return time.time()\n"
TWO = BAD.replace("-> float", "")


def test_this_project_has_nothing_to_mend():
    checked = check_paths([ROOT / "src", ROOT / "examples", ROOT / "benchmarks"])
    assert as_text(checked) == f"Found nothing in {checked.files} files."


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_folders_are_searched_and_what_is_not_ones_own_is_passed_over(tmp_path):
    write(tmp_path, a=BAD, sub__b=BAD, node_modules__c=BAD, env__lib__d=BAD)
    write(tmp_path / ".hidden", e=BAD)
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "notes.txt").write_text("def (")
    checked = check_paths([tmp_path])
    assert [one.path for one in checked.findings] == [str(tmp_path / "a.py"), str(tmp_path / "sub" / "b.py")]
    assert (checked.files, checked.exit_code) == (2, 1)


def test_a_file_is_checked_once_whatever_its_name(tmp_path):
    write(tmp_path, a=BAD)
    (tmp_path / "script").write_text(BAD)
    assert check_paths([tmp_path, tmp_path / "a.py", tmp_path / "script"]).files == 2


def test_nothing_found_is_0(tmp_path):
    write(tmp_path, a="x = 1\n")
    checked = check_paths([tmp_path])
    assert (checked.exit_code, as_text(checked)) == (0, "Found nothing in 1 file.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"def (:\n", "invalid syntax in line 1"),
        (b"\xff\xfe\n", "invalid or missing encoding declaration"),
        (b"x = 1\x00\n", "null bytes"),
        (b"x = " + b"-" * 100_000 + b"1\n", ""),
    ],
)
def test_what_cant_be_read_is_2_and_the_rest_is_checked(tmp_path, text, reason):
    write(tmp_path, a=BAD)
    (tmp_path / "b.py").write_bytes(text)
    checked = check_paths([tmp_path])
    assert checked.exit_code == 2
    assert len(checked.findings) == 1
    (unreadable,) = checked.unreadable
    assert unreadable.path == str(tmp_path / "b.py")
    assert reason in str(unreadable)


def test_what_is_not_there_is_2(tmp_path):
    checked = check_paths([tmp_path / "no"])
    assert checked.exit_code == 2
    assert "no such file" in str(checked.unreadable[0])


def test_the_text_leads_to_the_place_and_says_what_to_do(tmp_path):
    checked = check_paths([write(tmp_path, a=TWO)])
    first, second, last = as_text(checked).splitlines()
    assert first.startswith(f"{tmp_path / 'a.py'}:3:1: RSN114 ")
    assert second == (
        f"{tmp_path / 'a.py'}:4:12: RSN101 time.time() reads a clock: a replay reads another time. "
        "Use await ctx.now(), which is recorded, or read it in a step."
    )
    assert last == "Found 2 things in 1 file."


def test_the_json_has_all_of_it(tmp_path):
    told = json.loads(as_json(check_paths([write(tmp_path, a=BAD), tmp_path / "no"])))
    assert told["files"] == 1
    assert [one["path"] for one in told["unreadable"]] == [str(tmp_path / "no")]
    assert told["findings"][0] == {
        "path": str(tmp_path / "a.py"),
        "line": 4,
        "column": 12,
        "code": "RSN101",
        "text": "time.time() reads a clock: a replay reads another time.",
        "cure": "Use await ctx.now(), which is recorded, or read it in a step.",
        "workflow": "flow",
    }


@pytest.mark.parametrize(
    ("select", "ignore", "found"),
    [
        ((), (), ["RSN114", "RSN101"]),
        (("RSN101",), (), ["RSN101"]),
        (("RSN10",), (), ["RSN101"]),
        ((), ("RSN114",), ["RSN101"]),
        (("RSN101",), ("RSN1",), ["RSN101"]),
        (("RSN1",), ("RSN101",), ["RSN114"]),
        (("rsn101, rsn114",), (), ["RSN114", "RSN101"]),
    ],
)
def test_rules_are_chosen_by_the_beginnings_of_their_codes(tmp_path, select, ignore, found):
    write(tmp_path, a=TWO)
    settings = settings_of(tmp_path, select=select, ignore=ignore)
    assert [one.code for one in check_paths([tmp_path], settings).findings] == found


def test_the_nearest_pyproject_says_what_is_checked(tmp_path):
    write(tmp_path, a=TWO, old__b=TWO)
    (tmp_path / "pyproject.toml").write_text('[tool.resonate.check]\nignore = ["RSN114"]\nexclude = ["old"]\n')
    settings = settings_of(tmp_path / "old")
    assert settings == CheckSettings(ignore=("RSN114",), exclude=("old",))
    assert [one.code for one in check_paths([tmp_path], settings).findings] == ["RSN101"]


def test_a_pyproject_without_the_table_says_nothing(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert settings_of(tmp_path) == CheckSettings()


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[tool.resonate.check]\nignore = 'RSN101'", "is a list of texts"),
        ("[tool.resonate.check]\nselect = ['RSN999']", "No rule has the code RSN999"),
        ("[tool.", "can't be read"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, toml, said):
    (tmp_path / "pyproject.toml").write_text(toml)
    with pytest.raises(UsageError, match=said):
        settings_of(tmp_path)


def test_a_code_that_no_rule_has_is_refused():
    with pytest.raises(UsageError, match="No rule has the code E501"):
        settings_of(select=["E501"])
