"""A small executed notebook with everything that a page must show."""

from __future__ import annotations

import datetime as dt
from typing import Any

import nbformat
import pandas as pd
import plotly.graph_objects as go

from subjunctive_admin.look import Chart, Finding, Findings, Header, KeyFigures, StatusBoard, Table, heat_map, use_style
from subjunctive_admin.look.page import report_html
from subjunctive_admin.vocabulary import Status

FRAME = pd.DataFrame({"person": ["yo", "nosotros"], "n": [5212, 41], "right": [0.86, 0.52]})


def output(data: dict[str, Any], **metadata: Any) -> Any:
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata)


def shown(*things: Any) -> Any:
    """A code cell that displayed these."""
    outputs = []
    for thing in things:
        if isinstance(thing, Chart):
            outputs += [output(bundle, subjunctive=about) for about, bundle in thing.outputs()]
        elif hasattr(thing, "_repr_html_"):
            outputs.append(output({"text/html": thing._repr_html_(), "text/plain": repr(thing)}))
        else:
            outputs.append(thing)
    return nbformat.v4.new_code_cell("secret_source()", outputs=outputs)


def markdown(text: str, *tags: str) -> Any:
    return nbformat.v4.new_markdown_cell(text, metadata={"tags": list(tags)} if tags else {})


def charts() -> list[Chart]:
    line = go.Figure(go.Scatter(x=[1, 2, 3], y=[86, 61, 52], mode="lines+markers"))
    bar = go.Figure(go.Bar(x=["yo", "tú", "vosotros"], y=[612, 1184, 41]))
    dots = go.Figure(go.Scatter(x=[86, 52], y=["ojalá", "conditional"], mode="markers"))
    cells = heat_map([[86, None]], x=["yo", "vosotros"], y=["present"], labels=[["86 %", "n 8"]])
    return [
        Chart(line, "A line falls", "How it is counted", "n = 3", FRAME, half=True),
        Chart(dots, "*Ojalá* is easiest", "", "n = 2", FRAME, half=True),
        Chart(bar, "A bar stands out", "", "n = 3", FRAME),
        Chart(cells, "A cell is dark", "", "n = 2", FRAME),
    ]


def notebook(*cells: Any) -> Any:
    return nbformat.v4.new_notebook(cells=list(cells))


def full_notebook() -> Any:
    return notebook(
        markdown("# Sample\nWhat this notebook does."),
        shown(use_style()),
        shown(
            KeyFigures([("Learners", 412, "of 500"), ("Attempts", 69595, "")]),
            Header("One thing needs you", "The rest can wait.", [("Server", "PostgreSQL 18.4")], "Sample"),
            StatusBoard({"Storage and backup": [Status.OK] * 5 + [Status.CRITICAL]}),
            Findings(
                "What needs you",
                "",
                [Finding(Status.CRITICAL, "A thing", "Why", "`do it`", "16 d", "critical at 15 d")],
            ),
        ),
        markdown("## All figures\nAs a table."),
        shown(Table.from_frame(FRAME), *charts()),
    )


def page(nb: Any, **changed: Any) -> str:
    """The page of a notebook with the usual arguments."""
    usual: dict[str, Any] = {
        "title": "Sample",
        "audience": "Sample report",
        "generated_at": dt.datetime(2026, 11, 22, 6, tzinfo=dt.UTC),
        "run_id": "sample-20261122-060000",
        "result": {
            "status": "critical",
            "headline": "One thing needs you",
            "detail": "A detail",
            "parameters": {"days": 30},
        },
    }
    return report_html(nb, **{**usual, **changed})
