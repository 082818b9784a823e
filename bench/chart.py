"""Groups of horizontal bars on a logarithmic axis, as SVG."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, LEFT, RIGHT = 860, 230, 90
BAR, GAP, GROUP_GAP, TOP, BOTTOM = 16, 3, 20, 48, 30
OURS, OTHERS = "#2563eb", "#9ca3af"
_STYLE = "text{font:12px sans-serif;fill:#374151}.h{font-weight:bold}line{stroke:#d1d5db}"


class Group(NamedTuple):
    """What is compared, and the value of each who takes part; the first is marked."""

    label: str
    values: dict[str, float]


def bars(title: str, groups: Sequence[Group]) -> str:
    """Draw the groups below each other."""
    values = [value for group in groups for value in group.values.values()]
    scale = _Scale(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
    parts = [_text(10, 24, title, "h")]
    y = TOP
    for group in groups:
        parts += [_text(10, y + BAR - 3, group.label, "h"), *_group(group, scale, y)]
        y += len(group.values) * (BAR + GAP) + GROUP_GAP
    height = y + BOTTOM
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    paper = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    name = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    return "\n".join([head, name, paper, *_axis(scale, y), *parts, "</svg>"]) + "\n"


class _Scale(NamedTuple):
    """Powers of ten at the left and at the right."""

    low: int
    high: int

    def x(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def _axis(scale: _Scale, bottom: int) -> list[str]:
    parts = []
    for power in range(scale.low, scale.high + 1):
        x = scale.x(10**power)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 18, f"{10**power:,}", anchor="middle"))
    return parts


def _group(group: Group, scale: _Scale, top: int) -> list[str]:
    parts = []
    for place, (name, value) in enumerate(group.values.items()):
        y, end = top + place * (BAR + GAP), scale.x(value)
        color = OTHERS if place else OURS
        size = f'width="{end - LEFT:.1f}" height="{BAR}"'
        parts.append(f'<rect x="{LEFT}" y="{y}" {size} fill="{color}"/>')
        parts.append(_text(end + 6, y + BAR - 4, f"{name} {value:,.0f}"))
    return parts


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{style}">{escape(text)}</text>'
