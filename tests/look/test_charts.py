"""Charts: a small template, colours that a page can replace, and no trace that it cannot draw."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pandas as pd
import plotly
import plotly.graph_objects as go
import pytest

import subjunctive_admin.look as look_package
from subjunctive_admin.errors import UsageError
from subjunctive_admin.look import (
    PALETTE,
    TENSE_COLOURS,
    TENSE_SYMBOLS,
    Chart,
    Table,
    heat_map,
    label_series,
    reference_line,
    soft,
    stylesheet,
    template,
)
from subjunctive_admin.look.charts import _DARK, PLOTLY_MIME, TRACE_TYPES, figure_script, in_variables
from subjunctive_admin.vocabulary import Tense

BUNDLE = Path(look_package.__file__).parent / "plotly-cartesian.min.js.gz"


@pytest.fixture
def capture_display(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What IPython's publisher was given, in order."""
    from IPython.core import display_functions

    shown: list[dict[str, object]] = []
    monkeypatch.setattr(display_functions, "publish_display_data", lambda **given: shown.append(given))
    monkeypatch.setattr("IPython.core.interactiveshell.InteractiveShell.initialized", lambda: True)
    return shown


def bars() -> go.Figure:
    return go.Figure(go.Bar(x=["yo", "tú"], y=[1, 2]))


def test_a_chart_is_a_head_a_figure_of_one_mime_type_and_a_foot() -> None:
    outputs = Chart(bars(), "Title", "Subtitle", "Note", pd.DataFrame({"a": [1]})).outputs()
    assert [about["part"] for about, _ in outputs] == ["chart-head", "chart-figure", "chart-foot"]
    assert list(outputs[1][1]) == [PLOTLY_MIME]
    assert "Show the figures" in outputs[2][1]["text/html"]


def test_a_chart_without_note_and_figures_has_no_foot() -> None:
    assert len(Chart(bars(), "Title").outputs()) == 2


def test_a_charts_figures_may_be_a_table_of_ones_own() -> None:
    assert "<th" in Chart(bars(), "T", frame=Table(["a"], [[1]])).foot()


def test_the_title_of_a_chart_names_it_to_a_screen_reader_unless_it_has_a_label() -> None:
    assert Chart(bars(), "*Ojalá* is easiest").label == "Ojalá is easiest"
    assert Chart(bars(), "Title", aria_label="Label").label == "Label"


def test_texts_of_a_chart_are_escaped() -> None:
    chart = Chart(bars(), "<script>", "<b>", "<i>")
    assert "<script>" not in chart.head() + chart.foot()
    assert "</script" not in figure_script({"data": [{"name": "</script><script>alert(1)"}]})


@pytest.mark.parametrize("trace", [go.Scatter3d(), go.Choropleth(), go.Sunburst(), go.Scattergl()])
def test_a_trace_outside_the_bundle_is_refused_with_the_list_of_what_it_draws(trace: object) -> None:
    with pytest.raises(UsageError, match=r"cannot draw .*use one of bar, box, contour, heatmap"):
        Chart(go.Figure(trace), "Title")


def test_the_allowed_traces_are_those_of_the_vendored_bundle() -> None:
    code = gzip.decompress(BUNDLE.read_bytes()).decode()
    assert set(re.findall(r'moduleType:"trace",name:"([a-z0-9]+)"', code)) == TRACE_TYPES


def test_the_bundle_is_of_the_version_that_python_plotly_was_made_with() -> None:
    code = gzip.decompress(BUNDLE.read_bytes()).decode()
    wanted = re.search(r"plotly\.js v([\d.]+)", plotly.offline.get_plotlyjs()[:500])
    assert wanted
    assert f"plotly.js (cartesian - minified) v{wanted[1]}" in code[:500]


def test_the_bundle_was_packed_without_a_time_stamp_and_has_its_licence() -> None:
    assert BUNDLE.read_bytes()[4:8] == b"\0\0\0\0"
    assert "MIT License" in (BUNDLE.parent / "LICENSE.plotly").read_text()


def test_the_template_is_small_and_takes_the_place_of_plotlys_own() -> None:
    figure = Chart(bars(), "Title").json()
    assert len(json.dumps(figure)) < 3000
    assert figure["layout"]["template"]["layout"]["font"]["color"] == PALETTE["ink"]
    assert figure["config"]["displayModeBar"] is False


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_template_is_one_that_plotly_accepts(theme: str) -> None:
    go.Figure(go.Bar(y=[1])).update_layout(template=template(theme))  # type: ignore[arg-type]


def test_the_grid_crosses_the_values_and_the_first_category_is_on_top() -> None:
    sideways = Chart(go.Figure(go.Bar(x=[1, 2], y=["yo", "tú"], orientation="h")), "T").json()["layout"]
    assert sideways["xaxis"]["showgrid"] is True
    assert sideways["yaxis"]["autorange"] == "reversed"
    assert "showgrid" not in Chart(bars(), "T").json()["layout"].get("yaxis", {})


def test_what_a_figure_says_of_its_axes_wins() -> None:
    figure = go.Figure(go.Bar(x=[1], y=["yo"])).update_layout(yaxis_autorange=True, height=200)
    layout = Chart(figure, "T").json()["layout"]
    assert (layout["yaxis"]["autorange"], layout["height"]) == (True, 200)


def test_days_are_written_in_the_house_way() -> None:
    figure = go.Figure(go.Scatter(x=pd.date_range("2026-11-01", periods=2), y=[1, 2]))
    assert Chart(figure, "T").json()["layout"]["xaxis"]["tickformat"] == "%-d %b"


def test_every_colour_of_the_palette_becomes_the_name_of_its_variable() -> None:
    assert in_variables({"a": [PALETTE["c1"].upper(), "#fff", 3]}) == {"a": ["var(--c1)", "#fff", 3]}
    assert in_variables(soft(PALETTE["c2"])) == "var(--c2) 0.16"
    assert in_variables("rgba(1,2,3,.5)") == "rgba(1,2,3,.5)"
    assert PALETTE["grid"] not in figure_script(Chart(bars(), "T").json())


def test_the_palettes_are_those_of_the_stylesheet() -> None:
    css = dict(re.findall(r"--([a-z0-9]+): light-dark\((#\w{6}, #\w{6})\)", stylesheet()))
    assert {name: css[name].split(", ")[0] for name in PALETTE} == PALETTE
    assert {name: css[name].split(", ")[1] for name in _DARK} == _DARK


def test_a_tense_has_one_colour_and_one_marker() -> None:
    assert set(TENSE_COLOURS) == set(TENSE_SYMBOLS) == set(Tense)
    assert TENSE_COLOURS[Tense.PRESENT_SUBJUNCTIVE] == PALETTE["c1"]
    assert TENSE_SYMBOLS[Tense.IMPERFECT_SUBJUNCTIVE] == "diamond"


@pytest.mark.parametrize(("along", "side"), [("y", "r"), ("x", "t")])
def test_a_reference_line_makes_room_for_its_label(along: str, side: str) -> None:
    figure = bars()
    reference_line(figure, 1, "usual day 640", along=along)  # type: ignore[arg-type]
    assert figure.layout.margin[side] >= 28
    assert figure.layout.annotations[0].text == "usual day 640"


def test_a_heat_maps_labels_have_the_ink_that_can_be_read_and_no_value_is_hatched() -> None:
    figure = heat_map([[0, 100, None]], x=["a", "b", "c"], y=["r"], labels=[["0", "100", "n 8"]], low=0, high=100)
    assert list(figure.data[1].textfont.color) == ["#fff", "#000", PALETTE["ink2"]]
    frame, lines = figure.layout.shapes
    assert (frame.type, lines.type) == ("rect", "path")
    assert lines.path.count("M") == lines.path.count("L") > 5
    Chart(figure, "T")


def test_a_heat_map_of_one_value_or_none_can_be_drawn() -> None:
    for values in ([[5.0]], [[None]]):
        Chart(heat_map(values, x=["a"], y=["b"], labels=[["n 1"]]), "T")


def test_lines_are_named_behind_their_ends_without_overlap() -> None:
    figure = go.Figure()
    for name, end, colour in (
        ("present", 70, PALETTE["c1"]),
        ("imperfect", 69, PALETTE["c2"]),
        ("low", 0, PALETTE["c3"]),
    ):
        figure.add_scatter(x=[1, 2], y=[100, end], name=name, line_color=colour)
    label_series(figure)
    shifts = {note.text.split("> ")[1]: note.yshift for note in figure.layout.annotations}
    assert shifts["low"] == shifts["imperfect"] == 0
    assert 10 < shifts["present"] < 18
    assert "color:var(--c1)" in figure_script(Chart(figure, "T").json())


def test_names_of_lines_keep_apart_by_the_range_of_the_axis() -> None:
    figure = go.Figure(layout={"height": 400, "margin": {"b": 120}})
    for name, end in (("one", 84), ("two", 85.5)):
        figure.add_scatter(x=[1, 2], y=[85, end], name=name, line_color=PALETTE["c1"])
    figure.update_yaxes(range=[60, 101])
    label_series(figure)
    # 228 pixels for 41 units: a unit and a half are 8 pixels, and 18 are needed.
    shifts = {note.text.split("> ")[1]: note.yshift for note in figure.layout.annotations}
    assert shifts["one"] == 0
    assert shifts["two"] == pytest.approx(18 - 1.5 * 228 / 41)


def test_a_figure_without_named_lines_gets_no_labels() -> None:
    figure = bars()
    label_series(figure)
    assert not figure.layout.annotations


def test_a_notebook_shows_a_chart_as_its_three_outputs(capture_display: list[dict[str, object]]) -> None:
    Chart(bars(), "Title", note="n = 2")._ipython_display_()
    assert [list(shown["data"]) for shown in capture_display] == [  # type: ignore[call-overload]
        ["text/html", "text/plain"],
        [PLOTLY_MIME],
        ["text/html", "text/plain"],
    ]
    assert capture_display[1]["metadata"] == {"subjunctive": {"part": "chart-figure", "label": "Title"}}
