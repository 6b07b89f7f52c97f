"""What goes wrong: a sentence, an exit code, no traceback."""

from __future__ import annotations

import json
import sqlite3

import pytest

from resonate.cli.door import NO_URL
from tests.unit.cli.conftest import Command

USAGE = (
    (["ps", "--state", "asleep"], "'asleep' is no state of an execution."),
    (["ps", "--older-than", "a while"], "'a while' is no length of time."),
    (["ps", "--after", "nowhere"], "'nowhere' is no place in a list."),
    (["ps", "--after", "resolved~0~x"], "This place is in a list of other states."),
    (["promises", "search", "--state", "done"], "'done' is no state of a promise."),
    (["promises", "search", "--tag", "colour"], "A tag is name=value, not 'colour'."),
    (["tasks", "search", "--state", "done"], "'done' is no state of a task."),
    (["invoke", "a:b", "--func", "f"], "contains ':'"),
    (["why", ""], "An id is not empty."),
    (["tree", "\udcff", "--json"], "no text in UTF-8"),
    (["promises", "search", "--tag", "a=\udcff"], "tag holds what is no text in UTF-8: 'a=\\udcff'."),
    (["invoke", "a", "--func", ""], "--func is a function's registered name."),
    (["invoke", "a", "--func", "f", "--kwarg", "x"], "A named argument is name=value, not 'x'."),
)


@pytest.mark.parametrize(
    ("command", "text"), USAGE, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_command_line_that_can_not_be_right_is_code_2(resonate, command, text):
    answer = resonate(*command, code=2)
    assert text in answer.err
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1


def test_a_store_has_to_be_named():
    assert Command(None)("ps", code=2).err == f"resonate: {NO_URL}\n"
    assert "its own process alone" in Command("memory://")("ps", code=2).err
    assert "no backend for 'ftp' URLs" in Command("ftp://x")("ps", code=2).err
    assert "'shop.db' is no URL. A file is given as 'sqlite:///shop.db'." in Command("shop.db")("ps", code=2).err


@pytest.mark.parametrize(
    "command", [["ps"], ["why", "a"], ["resolve", "a"], ["halt", "a"], ["invoke", "a", "-f", "f"]], ids=" ".join
)
def test_a_file_that_is_not_there_is_not_made(tmp_path, command):
    path = tmp_path / "typo.db"
    answer = Command(f"sqlite:///{path}")(*command, code=3)
    assert answer.err == (
        f"resonate: There is no file {path}. Nothing was made. Give the path of the file that is used.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_ours_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert "is the database of another program" in Command(f"sqlite:///{path}")("ps", code=3).err
    path.write_text("no database at all")
    assert "is no SQLite database" in Command(f"sqlite:///{path}")("ps", code=3).err
    path.write_bytes(b"")
    assert "nothing was ever done in it" in Command(f"sqlite:///{path}")("ps", code=3).err
    assert before


def test_a_server_that_is_not_there_is_code_3():
    answer = Command("http://127.0.0.1:9")("ps", code=3)
    assert "127.0.0.1:9" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_errors_are_json_if_asked(resonate):
    answer = resonate("tree", "nothing", "--json", code=1)
    assert answer.out == ""
    assert json.loads(answer.err) == {
        "error": {"type": "NotFound", "message": "There is no promise nothing.", "hint": None}
    }


def test_a_traceback_is_for_who_asks(resonate):
    with pytest.raises(Exception, match="There is no promise nothing"):
        resonate("tree", "nothing", "--debug")


def test_a_bug_of_ours_is_a_sentence_and_a_code_of_its_own(resonate, monkeypatch):
    async def broken(*_args, **_kwargs):
        msg = "dict changed size"
        raise RuntimeError(msg)

    monkeypatch.setattr("resonate.runtime.insight.why", broken)
    answer = resonate("why", "order-good", code=70)
    assert answer.err == (
        "resonate: The command failed: RuntimeError: dict changed size. Please report it, with what --debug prints.\n"
    )
    with pytest.raises(RuntimeError, match="dict changed size"):
        resonate("why", "order-good", "--debug")
