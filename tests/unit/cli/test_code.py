"""`check`, `record` and `replay`."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import Command

BAD = "import time\nfrom resonate import Context\nasync def flow(ctx: Context) -> float:\n    return time.time()\n"
APP = """
from resonate import Constant, Context, Resonate

app = Resonate()

def charge(order: str) -> dict[str, str]:
    return {"receipt": order}

@app.register
async def checkout(ctx: Context, order: str) -> object:
    receipt = await ctx.options(retry=Constant(max_retries=0)).run(charge, order)
    if order == "asks":
        return await (await ctx.promise())
    return receipt
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Today's code, importable from the current folder; each test has a module of its own."""
    name = f"shop_{tmp_path.name}".replace("-", "_")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *__import__("sys").path])

    def write(text: str = APP) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return f"{name}:app"

    return write


# ---------------------------------------------------------------- check


def test_check_says_what_it_found_and_ends_with_1(tmp_path):
    (tmp_path / "a.py").write_text(BAD)
    answer = Command(None)("check", str(tmp_path), code=1)
    first, last = answer.lines
    assert first.startswith(f"{tmp_path}/a.py:4:12: RSN101 time.time() reads a clock")
    assert last == "Found 1 thing in 1 file."
    assert Command(None)("check", str(tmp_path), "--ignore", "RSN1").lines == ["Found nothing in 1 file."]
    assert Command(None)("check", str(tmp_path), "--json", code=1).json["findings"][0]["code"] == "RSN101"


def test_check_takes_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    assert Command(None)("check", "--select", "RSN101", code=1).lines[0].startswith("a.py:4:12:")


def test_check_ends_with_2_for_what_cant_be_read_or_is_no_rule(tmp_path):
    (tmp_path / "a.py").write_text("def (")
    answer = Command(None)("check", str(tmp_path), code=2)
    assert "can't be read: invalid syntax" in answer.err
    assert "No rule has the code E501" in Command(None)("check", "--select", "E501", code=2).err


# ---------------------------------------------------------------- record and replay


def test_an_execution_is_recorded_and_replayed(resonate, tmp_path, shop):
    answer = resonate("record", "order-good", "-o", str(tmp_path / "kept.json"))
    assert (answer.out, answer.err) == ("", f"Wrote {tmp_path / 'kept.json'}.\n")
    assert json.loads(resonate("record", "order-good").out)["execution"] == "order-good"
    app = shop()
    answer = Command(None)("replay", "kept.json", "--app", app)
    assert answer.lines == ["order-good (checkout@1) agrees to the end: 1 thing asked for."]
    (verdict,) = Command(None)("replay", "kept.json", "--app", app, "--json").json
    assert (verdict["agreement"], verdict["step"]) == ("agrees to the end", 1)


def test_a_folder_is_replayed_and_a_difference_is_code_1(resonate, tmp_path, shop):
    for order in ("good", "asks"):
        resonate("record", f"order-{order}", "-o", str(tmp_path))
    assert len(Command(None)("replay", ".", "--app", shop()).lines) == 2


def test_code_that_has_changed(resonate, tmp_path, shop):
    resonate("record", "order-good", "-o", "kept.json") if shop() else None
    changed = APP.replace(".run(charge, order)", ".run(charge, order.upper())")
    answer = Command(None)("replay", "kept.json", "--app", shop(changed), code=1)
    assert "differs at step 1, order-good:1" in answer.out
    assert "args[0]: 'good' was recorded, now it is 'GOOD'" in answer.out


@pytest.mark.parametrize("client", ["app", "client"])
def test_a_module_is_replayed_with_its_app_or_its_functions(resonate, shop, client):
    module, _, _ = shop(APP.replace("app", client)).partition(":")
    resonate("record", "order-good", "-o", "kept.json")
    answer = Command(None)("replay", "kept.json", "--app", module)
    assert answer.lines == ["order-good (checkout@1) agrees to the end: 1 thing asked for."]


def test_what_is_not_there(resonate, tmp_path, shop):
    assert "There is no execution nobody" in resonate("record", "nobody", code=1).err
    app = shop()
    assert "no.json" in Command(None)("replay", "no.json", "--app", app, code=2).err
    assert "no recordings" in Command(None)("replay", str(tmp_path), "--app", app, code=2).err
    (tmp_path / "odd.json").write_text("[]")
    assert "is a JSON object" in Command(None)("replay", "odd.json", "--app", app, code=2).err
    resonate("record", "order-good", "-o", "kept.json")
    assert "No module named 'nowhere'" in Command(None)("replay", "kept.json", "--app", "nowhere:app", code=2).err
    (tmp_path / "broken_shop.py").write_text("1 / 0")
    answer = Command(None)("replay", "kept.json", "--app", "broken_shop:app", code=2)
    assert "importing broken_shop raised ZeroDivisionError: division by zero." in answer.err
    assert 'below `if __name__ == "__main__":`' in answer.err
    assert "can't be written" in resonate("record", "order-good", "-o", "kept.json/in/a/file", code=2).err
