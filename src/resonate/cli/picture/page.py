"""The picture's HTML.

Law 1: one file: it loads nothing, from nowhere, and runs no script; it says so itself, by its content policy.
Law 2: whatever comes from data is escaped: a name, an error or a value can't become markup.
Law 3: thousands of promises stay usable: what is deep or many is folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from attrs import frozen

from resonate.cli.picture.style import STYLE
from resonate.cli.picture.timeline import Interval, Scale, end_of, scale_of, work_of
from resonate.core.batches import batches
from resonate.core.insight.causes import SEVERITY, CauseKind, Why
from resonate.core.insight.tree import Node, Status, Tree
from resonate.core.insight.words import count, instant, span
from resonate.core.payload import Opaque, brief, peek, shown
from resonate.core.protocol.records import Value

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
MANY: Final = 200
"""A tree of more promises than this is shown with its deeper levels folded."""
CHUNK: Final = 100
"""So many siblings stand beside each other; more are folded by this number."""
DEEPEST: Final = 100
"""Beyond this depth nothing is nested any further: browsers have their limits, too."""
INDENTED: Final = 12
"""Beyond this depth nothing is indented any further."""
_BAD: Final = frozenset({Status.REJECTED, Status.TIMED_OUT, Status.HALTED})
_LIVE: Final = frozenset({Status.QUEUED, Status.RUNNING, Status.WAITING, Status.PENDING})


def page(tree: Tree, why: Why | None = None) -> str:
    """Return the page; with `why`, what the execution waits for is told at its top."""
    drawing = _Drawing.of(tree)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(tree.root.id)}</title>",
        f"<style>{STYLE}</style></head><body>",
        *_header(tree, why),
        "<main>",
        _axis(drawing.scale),
        f'<div style="--pitch:{_pitch(drawing.scale):.4f}%">',
        *drawing.rows(),
        "</div></main>",
        f"<footer>{escape(_remark(tree))}</footer>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


# ---------------------------------------------------------------- around the timeline


def _header(tree: Tree, why: Why | None) -> Iterator[str]:
    root = tree.root
    facts = [f"<b>{escape(root.name)}</b> {escape(root.status.value)}", f"asked for {escape(instant(root.created_at))}"]
    facts.append(f"{'has taken' if root.settled_at is None else 'took'} {span(root.duration_ms(tree.now))}")
    if root.group is not None:
        facts.append(f"group {escape(root.group)}")
    yield f"<header><h1>{escape(root.id)}</h1>"
    yield f'<p class="lead">{", ".join(facts)}</p>'
    if why is not None:
        bad = SEVERITY[why.cause.kind] < SEVERITY[CauseKind.UNSETTLED] or root.status in _BAD
        yield f'<div class="why{" bad" if bad else ""}">'
        yield f"<p>{escape(why.line)}</p>"
        if why.cause.hint is not None:
            yield f"<p>To do: {escape(why.cause.hint)}</p>"
        yield "</div>"
    yield '<ul class="key">'
    yield '<li><i style="background:var(--work)"></i>work</li>'
    yield (
        '<li><i style="background:repeating-linear-gradient(135deg,var(--wait) 0 5px,var(--wait-dark) 5px 7px)"></i>'
        "waiting</li>"
    )
    yield '<li><i style="background:var(--bad)"></i>failed</li>'
    yield '<li><i style="border-right:3px solid var(--live);background:var(--wait)"></i>not over</li></ul></header>'


def _axis(scale: Scale) -> str:
    ticks = scale.ticks()
    last = len(ticks) - 1
    marks: list[str] = []
    for number, tick in enumerate(ticks):
        at = scale.at(scale.start + tick)
        # At the right edge a text would leave the page; on a phone there is room for three.
        side = "last" if number == last and at > 78 else "" if number in {0, last // 2, last} else "wide"
        marks.append(f'<span class="{side}" style="left:{at:.4f}%">{_offset(tick)}</span>')
    return f'<div class="axis"><div class="scale">{"".join(marks)}</div></div>'


def _offset(tick: int) -> str:
    return "start" if not tick else f"+{span(tick)}"


def _pitch(scale: Scale) -> float:
    ticks = scale.ticks()
    return scale.at(scale.start + ticks[1]) if len(ticks) > 1 else 100.0


def _remark(tree: Tree) -> str:
    number = sum(1 for _ in tree.nodes())
    text = f"{count(number, 'promise')}, as of {instant(tree.now)}. Drawn by resonate tree --html."
    return text if tree.whole else f"{text} The server serves no searches, so there may be more."


# ---------------------------------------------------------------- the timeline


@frozen
class _Drawing:
    """A tree, and where its bars lie."""

    tree: Tree
    scale: Scale
    work: Mapping[str, Sequence[Interval]]
    many: bool

    @classmethod
    def of(cls, tree: Tree) -> _Drawing:
        scale = scale_of(tree)
        return cls(tree, scale, work_of(tree, scale), sum(1 for _ in tree.nodes()) > MANY)

    def rows(self) -> Iterator[str]:
        """Yield the rows, nested. Without recursion: a chain of calls may be deeper than Python's stack."""
        ahead: list[str | tuple[int, Node]] = [(0, self.tree.root)]
        while ahead:
            one = ahead.pop()
            if isinstance(one, str):
                yield one
                continue
            depth, node = one
            children = [child for child in node.children if not child.own]
            yield self._row(node, depth, leaf=not children)
            nested = depth < DEEPEST
            if not nested:
                yield "</details>"
            below = self._below(children, depth + 1)
            ahead += [*(["</details>"] if nested else []), *reversed(below)]

    def _below(self, children: Sequence[Node], depth: int) -> list[str | tuple[int, Node]]:
        if len(children) <= CHUNK:
            return [(depth, child) for child in children]
        below: list[str | tuple[int, Node]] = []
        for chunk in batches(children, CHUNK):
            open_ = any(child.settled_at is None or child.status in _BAD for child in chunk) and not self.many
            text = escape(f"{chunk[0].id} to {chunk[-1].id}: {self._tally(chunk)}")
            below.append(f'<details class="more"{" open" if open_ else ""} style="--d:{min(depth, INDENTED)}">')
            below.append(f"<summary>{text}</summary>")
            below += [(depth, child) for child in chunk]
            below.append("</details>")
        return below

    def _tally(self, nodes: Sequence[Node]) -> str:
        counts: dict[str, int] = {}
        for node in nodes:
            counts[node.status.value] = counts.get(node.status.value, 0) + 1
        return ", ".join(f"{number} {status}" for status, number in counts.items())

    def _row(self, node: Node, depth: int, *, leaf: bool) -> str:
        shown = not leaf and (not self.many or depth < 1)
        classes = " ".join(filter(None, ["leaf" if leaf else "", _tone(node.status)]))
        error = "" if node.error is None else f'<div class="error">{escape(node.error)}</div>'
        facts = _facts(node, self.tree.now)
        style = f"--d:{min(depth, INDENTED)}"
        if not leaf:
            inner = f'style="--d:{min(depth, INDENTED)}"><summary>facts</summary>{facts}'
            facts = f'<details class="more about" {inner}</details>'
        return (
            f'<details class="{classes}"{" open" if shown else ""}><summary><div class="row" style="{style}">'
            f'<div class="label"><span class="fold"></span><span class="name">{escape(node.name)}</span>'
            f'<span class="id">{escape(_short(node, self.tree.root.id, depth))}</span></div>'
            f'<div class="track">{self._bar(node)}</div>'
            f'<div class="time">{span(node.duration_ms(self.tree.now))}'
            f'<span class="state">{_state(node)}</span></div>{error}</div></summary>{facts}'
        )

    def _bar(self, node: Node) -> str:
        end = end_of(node, self.tree.now)
        whole = f'<div class="bar" style="{self._place(node.created_at, end)}"></div>'
        return whole + "".join(
            f'<div class="work" style="{self._place(start, until)}"></div>' for start, until in self.work[node.id]
        )

    def _place(self, start: int, end: int) -> str:
        left, right = self.scale.at(start), self.scale.at(end)
        # What is too thin to be seen is 2 px wide; at the right edge it has to begin before it.
        return f"left:min({left:.4f}%, 100% - 2px);width:{right - left:.4f}%"


def _tone(status: Status) -> str:
    if status in _BAD:
        return "bad"
    if status is Status.CANCELED:
        return "odd"
    return "live" if status in _LIVE else ""


def _state(node: Node) -> str:
    return "" if node.status is Status.RESOLVED else escape(node.status.value)


def _short(node: Node, root: str, depth: int) -> str:
    """Return an id below the root without what it shares with it."""
    if depth and node.id.startswith(root) and len(node.id) > len(root) + 1:
        return node.id[len(root) :]
    return node.id if depth else ""


def _facts(node: Node, now: int) -> str:
    facts = [
        ("id", node.id),
        ("is", f"{node.kind.value}, {node.status.value}"),
        ("asked for", instant(node.created_at)),
        ("by", node.site),
        ("settled", None if node.settled_at is None else instant(node.settled_at)),
        ("deadline", instant(node.timeout_at) if node.settled_at is None else None),
        ("group", node.group),
        ("taken", None if node.attempts is None else count(node.attempts, "time")),
        ("held by", node.pid),
        ("lease ends in", None if node.expires_at is None else span(node.expires_at - now)),
        ("with", _payload(node.param)),
        ("gave", _payload(node.value) if node.error is None else None),
    ]
    rows = "".join(f"<dt>{name}</dt><dd><code>{escape(text)}</code></dd>" for name, text in facts if text is not None)
    return f'<dl class="facts">{rows}</dl>'


def _payload(value: Value) -> str | None:
    found = peek(value)
    if found is None:
        return None
    return shown(found) if isinstance(found, Opaque) else brief(shown(found))
