"""Charts: one small template, one colour per tense, and a figure that carries its finding and its numbers.

Figures are written with the light colours of `PALETTE`, so that they show in any notebook. A page
replaces each of them by the name of its CSS variable (`in_variables`) and fills it in the browser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from subjunctive_admin.errors import UsageError
from subjunctive_admin.look.fragments import Table
from subjunctive_admin.look.markup import plain, rich
from subjunctive_admin.vocabulary import Tense

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

PLOTLY_MIME = "application/vnd.plotly.v1+json"
SANS = '-apple-system, "Segoe UI", Inter, Roboto, "Noto Sans", "DejaVu Sans", sans-serif'

PALETTE: dict[str, str] = {
    "c1": "#0080c8",
    "c2": "#b87900",
    "c3": "#006b50",
    "c4": "#c05a94",
    "c5": "#9a3f00",
    "c6": "#222c36",
    "ink": "#16202b",
    "ink2": "#44515e",
    "ink3": "#5b6875",
    "edge": "#77838f",
    "accent": "#005a8f",
    "ok": "#00634a",
    "warn": "#7a4a00",
    "crit": "#a3290f",
    "unk": "#554d80",
    "surface": "#ffffff",
    "sunken": "#edf1f4",
    "line": "#d8dee5",
    "grid": "#e4e9ee",
}
"""Light colours by the name of their variable; `style.css` has the dark ones."""

_DARK: dict[str, str] = {
    "c1": "#2f9fe0",
    "c2": "#ffb733",
    "c3": "#16d3a0",
    "c4": "#c76a9e",
    "c5": "#dd6a1a",
    "c6": "#e9eef2",
    "ink": "#e9eef2",
    "ink2": "#b6c2cd",
    "edge": "#7f8c99",
    "surface": "#182028",
    "grid": "#2a3540",
}

TENSE_COLOURS: dict[Tense, str] = {
    Tense.PRESENT_SUBJUNCTIVE: PALETTE["c1"],
    Tense.IMPERFECT_SUBJUNCTIVE: PALETTE["c2"],
    Tense.PRESENT_PERFECT_SUBJUNCTIVE: PALETTE["c3"],
    Tense.PLUPERFECT_SUBJUNCTIVE: PALETTE["c4"],
}
"""The colour of a tense in every chart; the others share `c5`."""
TENSE_COLOURS.update({tense: PALETTE["c5"] for tense in Tense if tense not in TENSE_COLOURS})

_SYMBOLS_OF_COLOURS = {"c1": "circle", "c2": "diamond", "c3": "square", "c4": "triangle-up", "c5": "cross"}
TENSE_SYMBOLS: dict[Tense, str] = {
    tense: _SYMBOLS_OF_COLOURS[next(name for name, value in PALETTE.items() if value == colour)]
    for tense, colour in TENSE_COLOURS.items()
}

DIVERGING = ("#0b4a7f", "#3f86bd", "#9cc4e2", "#f1f3f5", "#ecc07f", "#c07a12", "#7a4300")
"""Blue is less, orange more, the middle is the reference."""

_SIGNS = {"circle": "●", "diamond": "◆", "square": "■", "triangle-up": "▲", "cross": "✚"}

CIVIDIS = ("#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838")
"""Sequential: dark is low, and it reads the same under every kind of sight."""

TRACE_TYPES = frozenset(
    [
        "bar",
        "box",
        "contour",
        "heatmap",
        "histogram",
        "histogram2d",
        "histogram2dcontour",
        "image",
        "pie",
        "scatter",
        "scatterternary",
        "violin",
    ]
)
"""What the vendored cartesian bundle can draw."""

_CONFIG = {"displayModeBar": False, "responsive": True, "doubleClick": False, "showTips": False}
_HEIGHT = 320


def soft(colour: str, alpha: float = 0.16) -> str:
    """A colour of the palette as the fill of a band."""
    red, green, blue = _rgb(colour)
    return f"rgba({red},{green},{blue},{alpha:g})"


def template(theme: Literal["light", "dark"] = "light") -> go.layout.Template:
    """The product's plotly template, a fiftieth of plotly's own."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    return go.layout.Template(_template(PALETTE if theme == "light" else _DARK))


def _template(colour: Mapping[str, str]) -> dict[str, Any]:
    ring = {"size": 10, "line": {"width": 1.5, "color": colour["surface"]}}
    axis = {
        "automargin": True,
        "fixedrange": True,
        "separatethousands": True,
        "gridcolor": colour["grid"],
        "gridwidth": 1,
        "zeroline": False,
        "showline": False,
        "ticks": "outside",
        "ticklen": 5,
        "tickcolor": "rgba(0,0,0,0)",
        "tickfont": {"size": 12, "color": colour["ink2"]},
        "title": {"font": {"size": 12, "color": colour["ink2"]}, "standoff": 8},
    }
    return {
        "data": {
            "scatter": [{"marker": ring, "line": {"width": 2.5}, "error_x": _interval(), "error_y": _interval()}],
            "bar": [
                {
                    "marker": {"line": {"width": 0}},
                    "textfont": {"size": 12, "color": colour["ink"]},
                    "cliponaxis": False,
                }
            ],
            "heatmap": [{"colorscale": "Cividis", "showscale": False, "xgap": 3, "ygap": 3, "textfont": {"size": 12}}],
        },
        "layout": {
            "font": {"family": SANS, "size": 13, "color": colour["ink"]},
            "paper_bgcolor": colour["surface"],
            "plot_bgcolor": colour["surface"],
            "colorway": [colour[f"c{at}"] for at in range(1, 7)],
            "margin": {"l": 16, "r": 16, "t": 8, "b": 8, "pad": 0},
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            "bargap": 0.28,
            "showlegend": False,
            "dragmode": False,
            "separators": ".\u202f",
            "hovermode": "closest",
            "hoverlabel": {
                "bgcolor": colour["surface"],
                "bordercolor": colour["edge"],
                "font": {"family": SANS, "size": 13, "color": colour["ink"]},
                "align": "left",
            },
            "annotationdefaults": {"font": {"size": 12, "color": colour["ink2"]}, "showarrow": False},
            "shapedefaults": {"line": {"color": colour["edge"], "width": 1.25, "dash": "dot"}},
        },
    }


def _interval() -> dict[str, Any]:
    return {"thickness": 2, "width": 0}


@dataclass(frozen=True)
class Chart:
    """A figure with its finding as a title, how to read it below, and its numbers in a table.

    `frame` is what “Show the figures” opens. Two charts of half width that follow each other stand
    side by side in a page. Raises `UsageError` for traces that the offline page cannot draw.
    """

    figure: go.Figure
    title: str
    subtitle: str = ""
    note: str = ""
    frame: pd.DataFrame | Table | None = None
    aria_label: str | None = None
    half: bool = False

    def __post_init__(self) -> None:
        refuse_undrawable(json.loads(self.figure.to_json()))

    @property
    def label(self) -> str:
        """What a screen reader says in place of the picture."""
        return plain(self.aria_label or self.title)

    def head(self) -> str:
        """Title and subtitle."""
        subtitle = f'<p class="sj-subtitle">{rich(self.subtitle)}</p>' if self.subtitle else ""
        return f'<div class="sj-chart-head"><h3>{rich(self.title)}</h3>{subtitle}</div>'

    def foot(self) -> str:
        """Note and figures; empty when there is neither."""
        note = f'<p class="sj-note">{rich(self.note)}</p>' if self.note else ""
        return f'<div class="sj-chart-foot">{note}{self._figures()}</div>' if note or self.frame is not None else ""

    def _figures(self) -> str:
        if self.frame is None:
            return ""
        table = self.frame if isinstance(self.frame, Table) else Table.from_frame(self.frame)
        return f'<details class="sj-more"><summary>Show the figures</summary>{table.html()}</details>'

    def json(self) -> dict[str, Any]:
        """Data, layout with the product's template, and config: what the plotly MIME type holds."""
        drawn: dict[str, Any] = json.loads(self.figure.to_json())
        layout = {"height": _HEIGHT, **drawn.get("layout", {}), "template": _template(PALETTE)}
        for axis, defaults in _axes(drawn["data"]).items():
            layout[axis] = {**defaults, **layout.get(axis, {})}
        return {"data": drawn["data"], "layout": layout, "config": dict(_CONFIG)}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        for part, bundle in self.outputs():
            display(bundle, metadata={"subjunctive": part}, raw=True)

    def outputs(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The outputs in a notebook: a description and a MIME bundle for head, figure and foot."""
        figure = {"part": "chart-figure", "label": self.label}
        parts: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"part": "chart-head", "half": self.half}, _html_bundle(self.head(), f"{self.title}\n{self.subtitle}")),
            (figure, {PLOTLY_MIME: self.json()}),
        ]
        foot = self.foot()
        return [*parts, ({"part": "chart-foot"}, _html_bundle(foot, self.note))] if foot else parts


def _html_bundle(html: str, text: str) -> dict[str, Any]:
    return {"text/html": f'<div class="sj">{html}</div>', "text/plain": text.strip()}


def _axes(data: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the axes need for what stands on them: the grid crosses the values, the first category is on top."""
    if any(trace.get("type") == "heatmap" for trace in data):
        return {"xaxis": {"side": "top"}, "yaxis": {"showgrid": False, "autorange": "reversed"}}
    if any(_has(_NO_DATE, trace.get("y")) for trace in data):
        values = {"showgrid": True, "nticks": 6}
        return {"xaxis": values, "yaxis": {"showgrid": False, "autorange": "reversed", "dtick": 1}}
    dated = any(_has(_DATE, trace.get("x")) for trace in data)
    return {"xaxis": {"tickformat": "%-d %b", "hoverformat": "%-d %b %Y"} if dated else {}, "yaxis": {"nticks": 7}}


def _has(pattern: re.Pattern[str], values: Any) -> bool:
    return isinstance(values, list) and any(isinstance(value, str) and pattern.match(value) for value in values)


_DATE = re.compile(r"\d{4}-\d\d")
_NO_DATE = re.compile(r"(?!\d{4}-\d\d)")
_RGBA = re.compile(r"rgba?\((\d+), ?(\d+), ?(\d+)(?:, ?([\d.]+))?\)")
_STYLED = re.compile(r"color:(#[0-9a-fA-F]{6})")
_NAMES = {value: name for name, value in reversed(PALETTE.items())}


def refuse_undrawable(figure: Mapping[str, Any]) -> None:
    """Raise `UsageError` when a trace is of a type that the vendored bundle would draw as something else."""
    types = {trace.get("type", "scatter") for trace in figure["data"]}
    if unknown := sorted(types - TRACE_TYPES):
        raise UsageError(
            f"The offline page cannot draw {', '.join(unknown)}.",
            next_step=f"use one of {', '.join(sorted(TRACE_TYPES))}",
        )


def in_variables(value: Any) -> Any:
    """The same JSON with every colour of the palette replaced by its variable: `var(--c1)`, `var(--c1) 0.16`."""
    if isinstance(value, dict):
        return {key: in_variables(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [in_variables(inner) for inner in value]
    return _variable(value) if isinstance(value, str) else value


def _variable(value: str) -> str:
    if name := _NAMES.get(value.lower()):
        return f"var(--{name})"
    if match := _RGBA.fullmatch(value):
        name = _NAMES.get("#{:02x}{:02x}{:02x}".format(*map(int, match.groups()[:3])))
        return f"var(--{name}) {match[4] or 1}" if name else value
    return _STYLED.sub(lambda styled: f"color:{_variable(styled[1])}", value)


def figure_script(figure: Mapping[str, Any]) -> str:
    """A figure as JSON that can stand inside a script element."""
    text = json.dumps(in_variables(figure), ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def attribute(text: str) -> str:
    """Text as the value of an HTML attribute."""
    return escape(text, quote=True)


def _make_room(figure: go.Figure, side: str, wanted: int) -> None:
    """Widen a margin: plotly makes no room for annotations."""
    figure.update_layout(margin={side: max(wanted, figure.layout.margin[side] or 0)})


def reference_line(
    figure: go.Figure, value: float, text: str = "", *, along: Literal["x", "y"] = "y", colour: str = PALETTE["edge"]
) -> None:
    """A dotted line at a value of the y axis (or x), labelled at its end."""
    line = {"color": colour, "width": 1.25, "dash": "dot"}
    named = colour if colour != PALETTE["edge"] else PALETTE["ink2"]
    font = {"size": 12, "color": named}
    if along == "y":
        figure.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=value, y1=value, line=line, layer="above")
        place = {
            "x": 1,
            "xref": "x domain",
            "xanchor": "left",
            "xshift": 8,
            "y": value,
            "yref": "y",
            "yanchor": "middle",
        }
    else:
        figure.add_shape(type="line", y0=0, y1=1, yref="y domain", x0=value, x1=value, line=line, layer="above")
        place = {"y": 1, "yref": "y domain", "yanchor": "bottom", "x": value, "xref": "x", "xanchor": "center"}
    if text:
        _make_room(figure, "r" if along == "y" else "t", 24 + 7 * len(text) if along == "y" else 28)
        figure.add_annotation(text=text, font=font, showarrow=False, **place)


def label_series(figure: go.Figure) -> None:
    """Write the name of each line behind its last point, in ink after its coloured marker; labels do not overlap."""
    named = [trace for trace in figure.data if trace.type == "scatter" and trace.name and len(trace.y)]
    ends = sorted(named, key=lambda trace: float(trace.y[-1]))
    scale = _pixels_a_unit(figure, [float(value) for trace in named for value in trace.y])
    free = float("-inf")
    for trace in ends:
        place = float(trace.y[-1]) * scale
        shift, free = max(free - place, 0), max(place, free) + 18
        sign = _SIGNS.get(trace.marker.symbol or "circle", "●")
        text = f'<span style="color:{trace.line.color or trace.marker.color}">{sign}</span> {escape(trace.name)}'
        figure.add_annotation(
            text=text, x=1, xref="x domain", xanchor="left", xshift=8, y=trace.y[-1], yshift=shift, showarrow=False,
            font={"size": 13, "color": PALETTE["ink"]},
        )  # fmt: skip
        _make_room(figure, "r", 40 + 8 * len(trace.name))


def _pixels_a_unit(figure: go.Figure, heights: Sequence[float]) -> float:
    """About how many pixels a unit of the y axis takes, given its range, else the values that stand on it."""
    low, high = figure.layout.yaxis.range or (min(heights, default=0), max(heights, default=1))
    below = max((figure.layout.margin.b or 0) - 8, 0)
    return float(((figure.layout.height or _HEIGHT) - 60 - below) / ((high - low) or 1))


def heat_map(
    values: Sequence[Sequence[float | None]],
    *,
    x: Sequence[str],
    y: Sequence[str],
    labels: Sequence[Sequence[str]],
    low: float | None = None,
    high: float | None = None,
    colours: Sequence[str] = CIVIDIS,
) -> go.Figure:
    """A heat map with its labels in the ink that can be read; a value of None is hatched and keeps its label.

    A narrow screen scrolls it (`layout.meta.min_width`). The scale runs from `low` to `high`, else from the least to the greatest value.
    """
    import plotly.graph_objects as go  # noqa: PLC0415

    known = [value for row in values for value in row if value is not None]
    low, high = low if low is not None else min(known, default=0), high if high is not None else max(known, default=1)
    figure = go.Figure(go.Heatmap(z=values, x=x, y=y, zmin=low, zmax=high, colorscale=list(colours), hoverinfo="skip"))
    for row, (name, line) in enumerate(zip(y, labels, strict=True)):
        inks = [_ink(_between(colours, value, low, high)) for value in values[row]]
        figure.add_scatter(
            x=x, y=[name] * len(x), text=line, mode="text", textfont={"size": 12, "color": inks}, hoverinfo="skip"
        )
    empty = ((r, c) for r, line in enumerate(values) for c, value in enumerate(line) if value is None)
    # All at once: plotly looks at every shape there is again for each that is added.
    figure.update_layout(shapes=[shape for row, column in empty for shape in _hatching(column, row)])
    return figure.update_layout(height=48 * len(y) + 48, meta={"min_width": 84 * len(x) + 128})


def _hatching(column: int, row: int) -> list[dict[str, Any]]:
    """The frame of one cell and diagonal lines over it, below its label."""
    line = {"color": PALETTE["edge"], "width": 1, "dash": "solid"}
    left, right, top, bottom = column - 0.49, column + 0.49, row - 0.47, row + 0.47
    steps, drop = 14, 0.35
    path = ""
    for at in range(-4, steps + 4):
        start, end = at / steps, at / steps + drop
        first, last = max(start, 0.0), min(end, 1.0)
        if first < last:
            for command, part in (("M", first), ("L", last)):
                x, y = left + part * (right - left), bottom + (part - start) / drop * (top - bottom)
                path += f"{command}{x:.4g},{y:.4g}"
    return [
        {"type": "rect", "x0": left, "x1": right, "y0": top, "y1": bottom, "line": line, "layer": "below"},
        {"type": "path", "path": path, "line": line, "opacity": 0.5, "layer": "below"},
    ]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _between(colours: Sequence[str], value: float | None, low: float, high: float) -> tuple[float, ...] | None:
    """The colour of a value on a scale of evenly spaced colours; None for no value."""
    if value is None:
        return None
    place = min(max((value - low) / ((high - low) or 1), 0), 1) * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    pairs = zip(_rgb(colours[first]), _rgb(colours[first + 1]), strict=True)
    return tuple(a + (b - a) * (place - first) for a, b in pairs)


def _ink(ground: tuple[float, ...] | None) -> str:
    """White or black, whichever stands out more (WCAG 2 relative luminance); the theme's ink on no ground."""
    if ground is None:
        return PALETTE["ink2"]
    red, green, blue = ((c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in ground)
    return "#fff" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179 else "#000"
