"""Processes that have died leave no lock files behind, and those that live keep theirs."""

from __future__ import annotations

import os

from resonate import Resonate
from resonate.adapters.sqlite import SqliteServer
from resonate.adapters.sqlite.alive import Alive, Life


def lock_files(path):
    return sorted(file.name for file in path.parent.glob("*-alive-*"))


async def test_the_lock_file_of_a_process_that_died_unknown_is_removed(tmp_path):
    path = tmp_path / "app.db"
    (tmp_path / "app.db-alive-dead").touch()  # it died before it was written down, or after it was crossed out
    (tmp_path / "other.db-alive-dead").touch()
    living = Alive(path)
    living.start()
    async with Resonate(SqliteServer(path)):
        assert living.life("dead") is Life.GONE
        assert Alive(path).life(living.token) is Life.ALIVE
    living.stop()
    assert lock_files(path) == ["other.db-alive-dead"]


def test_a_process_whose_lock_file_is_tidied_away_as_it_starts_makes_another(tmp_path, monkeypatch):
    path = tmp_path / "app.db"
    starting, tidying = Alive(path), Alive(path)
    opened, times = os.open, []

    def open_slowly(*args):  # what another process may do between two calls of this one
        file = opened(*args)
        if not times:
            times.append(1)
            tidying.tidy(())
        return file

    monkeypatch.setattr(os, "open", open_slowly)
    starting.start()
    monkeypatch.undo()
    assert tidying.life(starting.token) is Life.ALIVE
    starting.stop()
    assert lock_files(path) == []
