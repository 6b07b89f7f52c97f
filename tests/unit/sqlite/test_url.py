"""Which file and which options a URL names."""

from __future__ import annotations

from pathlib import Path

import pytest

from resonate import Resonate
from resonate.adapters.sqlite import from_url
from resonate.errors import UsageError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///app.db", "app.db"),
        ("sqlite:///data/app.db", "data/app.db"),
        ("sqlite:///../app.db", "../app.db"),
        ("sqlite:////var/lib/app.db", "/var/lib/app.db"),
        ("sqlite:///my%20shop%3F.db", "my shop?.db"),
        ("sqlite:///caf%C3%A9.db", "café.db"),
        ("sqlite:///100%25.db", "100%.db"),
        ("sqlite:///app.db?durability=normal&lock_timeout=0.5", "app.db"),
        ("sqlite:///app.db?", "app.db"),
    ],
)
def test_a_url_names_a_file(url, path):
    assert from_url(url).path == Path(path).resolve()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite://", "names no file. Write sqlite:///app.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:app.db?x", "unknown option"),
        ("sqlite://app.db", "names no file"),
        ("sqlite://host/app.db", "names no file"),
        ("sqlite:///app.db#part", "names no file"),
        ("sqlite:///:memory:", "Use memory:// instead"),
        ("sqlite:///app.db?durable=full", "unknown option 'durable'. Known: durability, lock_timeout."),
        ("sqlite:///app.db?durability=high", "durability is full or normal, not 'high'"),
        ("sqlite:///app.db?durability=", "durability is full or normal, not ''"),
        ("sqlite:///app.db?lock_timeout=soon", "lock_timeout is a number of seconds, not 'soon'"),
        ("sqlite:///app.db?lock_timeout=-1", "lock_timeout is a number of seconds, not '-1'"),
        ("sqlite:///app.db?lock_timeout=inf", "not 'inf'"),
        ("sqlite:///app.db?lock_timeout=nan", "not 'nan'"),
        ("sqlite:///a%00b.db", "names no file"),
    ],
)
def test_a_url_with_a_mistake_is_refused_with_a_sentence(url, sentence):
    with pytest.raises(UsageError) as caught:
        from_url(url)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["my shop?.db", "100%.db", "a#b.db", "a'b\".db", "ça va.db", "-wal.db"])
async def test_a_file_of_any_name_is_opened_searched_and_left_alone(tmp_path, name):
    from urllib.parse import quote

    async with Resonate(f"sqlite:///{quote(str(tmp_path / name))}") as client:
        await client.promises.create("p")
        assert [promise.id async for promise in client.promises.search()] == ["p"]
    async with Resonate(f"sqlite:///{quote(str(tmp_path / name))}") as client:
        assert (await client.promises.get("p")).id == "p"
    assert [file.name for file in tmp_path.iterdir()] == [name]
