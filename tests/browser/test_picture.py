"""The picture in a real browser: how it is laid out, on a phone and on a desk, in both colour schemes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from resonate.cli.picture import page
from resonate.core.insight.diagnosis import why_of
from resonate.core.insight.tree import tree_of
from tests.browser.chromium import browser, find
from tests.browser.story import MINUTE, NASTY, NOW, START, chain, crowd, story

EXECUTABLE = find()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium here (apt-get install chromium)"),
]

SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
WIDTHS = pytest.mark.parametrize("width", [320, 390, 1280])

BARS = """
[...document.querySelectorAll('.row')].map(row => {
  const track = row.querySelector('.track').getBoundingClientRect();
  const place = bar => { const at = bar.getBoundingClientRect(); return [at.left - track.left, at.width]; };
  return {name: row.querySelector('.name').textContent, width: track.width,
          bar: place(row.querySelector('.bar')), work: [...row.querySelectorAll('.work')].map(place)};
})
"""

CONTRASTS = """
(() => {
  const channels = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = channels(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    if (!words.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(channels(getComputedStyle(element).color)), light(behind(element))];
    found.push([words.currentNode.textContent.trim(), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
})()
"""


@pytest.fixture
async def tab():
    async with browser(EXECUTABLE) as tab:
        yield tab


@pytest.fixture
def drawn(tmp_path):
    """Draw a picture of promises into a file."""

    def draw(picture, id):
        path = tmp_path / "tree.html"
        path.write_text(page(tree_of(picture, id), why_of(picture, id)), encoding="utf-8")
        return path

    return draw


async def overflow(tab) -> float:
    return await tab.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")


async def test_bars_lie_where_their_times_are(tab, drawn):
    for width in (390, 1280):
        await tab.show(drawn(story(), "order-4711"), width=width)
        bars = {bar["name"]: bar for bar in await tab.run(BARS)}
        scale = bars["checkout"]["width"] / ((NOW - START) / MINUTE)
        expected = {
            "checkout": (0, 150),
            "reserve": (0, 6),
            "charge": (6, 9),
            "pack@2": (13, 54),
            "fetch": (13, 25),
            "timer": (25, 45),
            "label": (45, 54),
            "promise": (60, 150),
        }
        assert bars.keys() == expected.keys()
        for name, (start, end) in expected.items():
            assert bars[name]["bar"] == pytest.approx([start * scale, (end - start) * scale], abs=1.5), name


async def test_waits_are_apart_from_work(tab, drawn):
    await tab.show(drawn(story(), "order-4711"), width=1280)
    bars = {bar["name"]: bar for bar in await tab.run(BARS)}
    scale = bars["checkout"]["width"] / 150

    def worked(name):
        return [(round(left / scale), round(width / scale)) for left, width in bars[name]["work"]]

    assert worked("checkout") == [(0, 9)]
    assert worked("pack@2") == [(13, 12), (45, 9)]
    assert worked("fetch") == [(13, 12)]
    assert worked("timer") == worked("promise") == []
    colours = "[...document.querySelectorAll('.work')].map(bar => getComputedStyle(bar).backgroundColor)"
    waits = "[...document.querySelectorAll('.bar')].map(bar => getComputedStyle(bar).backgroundColor)"
    assert not set(await tab.run(colours)) & set(await tab.run(waits))


@WIDTHS
@SCHEMES
async def test_nothing_leaves_the_page_on_any_screen(tab, drawn, width, dark):
    await tab.show(drawn(story(call="a_rather_long_function_name_" * 8), "order-4711"), width=width, dark=dark)
    assert await overflow(tab) == 0
    await tab.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert await overflow(tab) == 0
    long = "order-" + "x" * 400
    await tab.show(drawn(story(long, error="e" * 500), long), width=width, dark=dark)
    assert await overflow(tab) == 0
    clipped = "[...document.querySelectorAll('.axis span')].filter(e => e.checkVisibility())"
    edges = await tab.run(f"{clipped}.map(e => [e.getBoundingClientRect().left, e.getBoundingClientRect().right])")
    assert all(0 <= left < right <= width for left, right in edges)
    assert all(one[1] <= other[0] for one, other in pairwise(edges)), "ticks overlap"


@SCHEMES
async def test_every_text_stands_out_from_what_is_behind_it(tab, drawn, dark):
    await tab.show(drawn(story(), "order-4711"), width=390, dark=dark)
    await tab.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    contrasts = await tab.run(CONTRASTS)
    assert len(contrasts) > 40
    assert [(text, ratio) for text, ratio in contrasts if ratio < 4.5] == []
    paper = await tab.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark


async def test_it_loads_nothing_and_data_stays_text(tab, drawn):
    path = drawn(story(f"order-{NASTY.replace(':', '')}", call=NASTY, error=NASTY), f"order-{NASTY.replace(':', '')}")
    await tab.show(path, width=390)
    assert tab.requests == [path.as_uri()]
    assert tab.complaints == []
    assert await tab.run("document.querySelectorAll('img, script, a, link, iframe').length") == 0
    assert await tab.run("document.title") == f"order-{NASTY.replace(':', '')}"
    assert NASTY in await tab.run("document.querySelector('.name').textContent")
    assert NASTY in await tab.run("document.querySelector('.error').textContent")


async def test_the_facts_of_a_row_are_a_tap_away(tab, drawn):
    await tab.show(drawn(story(), "order-4711"), width=390)
    assert not await tab.run("document.querySelector('.leaf .facts').checkVisibility()")
    await tab.run("document.querySelector('.leaf > summary').click()")
    assert await tab.run("document.querySelector('.leaf .facts').checkVisibility()")
    assert "shop.py:17" in await tab.run("document.querySelector('.leaf .facts').innerText")


async def test_thousands_of_promises_are_folded(tab, drawn):
    await tab.show(drawn(crowd(5_000), "big"), width=390)
    assert await tab.run("document.querySelectorAll('.row').length") == 5_001
    shown = "[...document.querySelectorAll('.row')].filter(row => row.checkVisibility()).length"
    assert await tab.run(shown) == 1
    await tab.run("document.querySelectorAll('.more:not(.about) > summary')[3].click()")
    assert await tab.run(shown) == 101
    assert await overflow(tab) == 0


async def test_a_deep_chain_of_calls_is_whole(tab, drawn):
    await tab.show(drawn(chain(300), "deep"), width=390)
    assert await tab.run("document.querySelectorAll('.row').length") == 300
    assert await overflow(tab) == 0
    await tab.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    rows = "[...document.querySelectorAll('.row')].filter(row => row.checkVisibility()).length"
    assert await tab.run(rows) == 300
    assert await overflow(tab) == 0
