"""Growth curves as SVG: both axes are logarithmic, so that a cost per unit that stays is a level line.

The colours stand on white as on black, and nothing is filled: a page's own background shows through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 84, 210, 44, 56
COLOURS = ("#2f8fdd", "#e0662f", "#2aa876", "#a86fd6", "#c9930a", "#d6478f")
GREY = "#808890"
LINE = 17
"""The height of a line of text."""

Point = tuple[float, float]


@frozen(kw_only=True)
class Chart:
    """A picture of how a cost grows.

    Args:
        title: stands above it.
        across: what is from left to right.
        up: what is from bottom to top.
        curves: by name, points of what is across and what is up, all above 0.
    """

    title: str
    across: str
    up: str
    curves: Mapping[str, Sequence[Point]]

    def svg(self) -> str:
        """Draw it."""
        names = ", ".join(self.curves)
        lines = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
                f'font-family="system-ui, sans-serif" font-size="13" fill="{GREY}">'
            ),
            f"<title>{escape(self.title)}: {escape(names)}</title>",
            f'<text x="{LEFT}" y="22" font-size="15" font-weight="600">{escape(self.title)}</text>',
            *self._axes(),
            *self._drawn(),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    # ------------------------------------------------------------ scales

    def _span(self, axis: int) -> tuple[float, float]:
        values = [point[axis] for points in self.curves.values() for point in points]
        least, most = min(values), max(values)
        # Room above and below, so that a level line looks level.
        return (least / 1.6, most * 1.6) if axis else (least, most)

    def _x(self, value: float) -> float:
        return LEFT + _share(value, *self._span(0)) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - _share(value, *self._span(1)) * (HEIGHT - TOP - BOTTOM)

    # ------------------------------------------------------------ parts

    def _axes(self) -> Iterator[str]:
        end, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
        for value in _ticks(*self._span(1)):
            y = self._y(value)
            yield f'<path d="M{LEFT} {y:.1f}H{end}" stroke="{GREY}" stroke-opacity=".3"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,.10g}</text>'
        for value in _ticks(*self._span(0)):
            x = self._x(value)
            yield f'<path d="M{x:.1f} {floor}v5" stroke="{GREY}"/>'
            yield f'<text x="{x:.1f}" y="{floor + 20}" text-anchor="middle">{value:,.10g}</text>'
        yield f'<path d="M{LEFT} {floor}H{end}" stroke="{GREY}"/>'
        yield f'<text x="{(LEFT + end) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(self.across)}</text>'
        middle = (TOP + floor) / 2
        yield (
            f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">'
            f"{escape(self.up)}</text>"
        )

    def _drawn(self) -> Iterator[str]:
        labels: list[tuple[float, str, str]] = []
        for number, (name, points) in enumerate(self.curves.items()):
            colour = COLOURS[number % len(COLOURS)]
            places = [(self._x(x), self._y(y)) for x, y in points]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            for (x, y), (across, up) in zip(places, points, strict=True):
                hint = escape(f"{name}: {across:,.0f}, {up:,.3g}")
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{hint}</title></circle>'
            labels.append((places[-1][1], name, colour))
        for y, name, colour in _apart(labels):
            yield f'<text x="{WIDTH - RIGHT + 12}" y="{y + 4:.1f}" fill="{colour}">{escape(name)}</text>'


def _share(value: float, least: float, most: float) -> float:
    return math.log(value / least) / math.log(most / least) if most > least else 0.5


def _ticks(least: float, most: float) -> list[float]:
    """Return round numbers within: powers of ten, and between them where these are few."""
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        within = [value for value in found if least <= value <= most]
        if len(within) > 2:
            return within
    return within or [least, most]


def _apart(labels: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Return labels from top to bottom, each at least a line below the one before."""
    placed: list[tuple[float, str, str]] = []
    for y, name, colour in sorted(labels):
        placed.append((max(y, placed[-1][0] + LINE) if placed else y, name, colour))
    return placed
