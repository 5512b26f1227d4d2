"""Executed notebooks as pages: one HTML file that needs no network, for readers who want no code.

A page has every output in its order, the report's finding on top, and plotly once, packed, when there is
a chart. Its Content-Security-Policy lets nothing load and no script run but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subjunctive_admin.look.charts import PLOTLY_MIME, attribute, figure_script, refuse_undrawable
from subjunctive_admin.look.fragments import Header
from subjunctive_admin.look.markup import URGENCY, bound, counted, mark, moment, pill, plain, rich
from subjunctive_admin.look.style import stylesheet
from subjunctive_admin.vocabulary import Status

if TYPE_CHECKING:
    import jinja2
    import nbformat

_FOLDER = Path(__file__).resolve().parent
_WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
_RESULT_MIME = "application/vnd.subjunctive.result+json"
_SKIPPED_TAGS = frozenset({"remove-cell", "remove_cell", "papermill-error-cell-tag"})
_EXPECTED_ERROR = "ReportFailed"
"""Raised on purpose after the last finding, so that a scheduler sees it; the page has said it already."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_DEFAULT_HEIGHT = 320


@dataclass(frozen=True)
class IndexEntry:
    """One report in the list of all."""

    number: str
    name: str
    title: str
    group: str
    status: Status
    finding: str
    detail: str
    seconds: float
    href: str
    notebook_href: str


@dataclass(frozen=True)
class _Block:
    """A piece of a page; `part` says which piece of a chart it is."""

    html: str
    part: str = ""
    half: bool = False


def report_html(
    nb: nbformat.NotebookNode,
    *,
    title: str,
    audience: str,
    generated_at: datetime,
    run_id: str,
    result: Mapping[str, Any],
) -> str:
    """The page of an executed notebook; `result` is what its result.json holds.

    Raises `UsageError` when a figure needs a trace type that the page cannot draw.
    """
    intro, blocks = _content(nb)
    if not any("sj-header" in block.html for block in blocks):
        blocks = [_Block(_header_of(result, title)), *blocks]
    pieces = _with_header_first(_grouped(blocks))
    return _page(
        "report.html.j2",
        title=f"{plain(str(result.get('headline') or title))} · {title}",
        audience=audience,
        generated_at=generated_at,
        blocks=pieces,
        intro=intro,
        parameters=[(name, str(value)) for name, value in (result.get("parameters") or {}).items()],
        run_id=run_id,
    )


def index_html(
    entries: Sequence[IndexEntry],
    *,
    title: str,
    summary: str,
    generated_at: datetime,
    about: Sequence[tuple[str, str]],
    commands: Sequence[tuple[str, str]],
) -> str:
    """The page that lists reports by group; `commands` pairs a purpose with a command line."""
    counts = Counter(entry.status for entry in entries)
    groups: dict[str, list[IndexEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.group, []).append(entry)
    return _page(
        "index.html.j2",
        title=title,
        audience="Reports",
        generated_at=generated_at,
        summary=summary,
        counts=[(s, f"{counts[s]} {counted(s, counts[s])}") for s in URGENCY if counts[s]],
        groups=list(groups.items()),
        asides=[
            ("Work with these reports", [(purpose, f"`{command}`") for purpose, command in commands]),
            ("About this run", about),
        ],
    )


def _page(template: str, *, generated_at: datetime, **values: Any) -> str:
    """Fill a template twice: the scripts' nonce is the digest of the page, so nothing in it can know it."""
    charts = any('class="sj-plot"' in block for block in values.get("blocks", ()))
    filled = {
        **values,
        "style": stylesheet() + (_FOLDER / "page.css").read_text(encoding="utf-8"),
        "generated": moment(generated_at, weekday=True),
        "iso": generated_at.isoformat(timespec="seconds"),
        "plotly": _packed_plotly() if charts else "",
        "charts_js": (_FOLDER / "charts.js").read_text(encoding="utf-8") if charts else "",
    }
    page = _environment().get_template(template)
    digest = hashlib.sha256(page.render(**filled, nonce="").encode()).digest()
    return page.render(**filled, nonce=base64.b64encode(digest[:18]).decode())


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 - only pages need it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.globals |= {"rich": rich, "pill": pill, "mark": mark}
    return environment


@cache
def _packed_plotly() -> str:
    return base64.b64encode((_FOLDER / "plotly-cartesian.min.js.gz").read_bytes()).decode()


def _header_of(result: Mapping[str, Any], title: str) -> str:
    """What stands on top when the notebook shows no header, as when it failed before it could."""
    header = Header(str(result.get("headline") or title), str(result.get("detail") or "")).html()
    status = pill(Status(result["status"])) if result.get("status") else ""
    return header.replace("</header>", f'<div class="sj-pills">{status}</div></header>')


def _content(nb: nbformat.NotebookNode) -> tuple[str, list[_Block]]:
    """The prose under the notebook's title, which goes to the end, and every block in order."""
    intro, blocks = "", []
    for at, cell in enumerate(nb.cells):
        if _SKIPPED_TAGS & set(cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "code":
            blocks += [block for output in cell.outputs for block in _output(output)]
        elif cell.cell_type == "markdown" and at == 0 and cell.source.startswith("# "):
            intro = _markdown(cell.source.partition("\n")[2])
        elif cell.cell_type == "markdown":
            blocks.append(_Block(f'<div class="sj-markdown">{_markdown(cell.source)}</div>'))
    return intro, blocks


@cache
def _renderer() -> Any:
    import mistune  # noqa: PLC0415 - only pages need it

    return mistune.create_markdown(escape=True, plugins=["table", "strikethrough"])


def _markdown(source: str) -> str:
    return str(_renderer()(bound(source))) if source.strip() else ""


def _output(output: Mapping[str, Any]) -> Iterator[_Block]:
    match output["output_type"]:
        case "stream":
            if output["name"] == "stdout" and output["text"].strip():
                yield _Block(_pre(output["text"]))
        case "error":
            if output["ename"] != _EXPECTED_ERROR:
                yield _Block(_error(output))
        case _:
            yield from _shown(output["data"], output.get("metadata", {}).get("subjunctive", {}))


def _shown(data: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[_Block]:
    """The richest form of an output that a page can show; results and empty outputs show nothing."""
    part, half = about.get("part", ""), bool(about.get("half"))
    if _RESULT_MIME in data:
        return
    if PLOTLY_MIME in data:
        yield _Block(_plot(data[PLOTLY_MIME], about.get("label", "A chart")), part or "chart-figure")
    elif _WIDGET_MIME in data:
        yield _Block('<p class="sj-note">An interactive form: open the notebook in JupyterLab.</p>')
    elif "text/html" in data:
        if "sj-style" not in data["text/html"]:
            yield _Block(_framed(data["text/html"]), part, half)
    elif "text/markdown" in data:
        yield _Block(f'<div class="sj-markdown">{_markdown(data["text/markdown"])}</div>')
    elif image := next((kind for kind in ("image/png", "image/jpeg", "image/svg+xml") if kind in data), None):
        yield _Block(_image(image, data[image]))
    elif data.get("text/plain", "").strip():
        yield _Block(_pre(data["text/plain"]))


def _framed(html: str) -> str:
    """Tables of pandas stand in a card like our own; fragments bring theirs."""
    return html if 'class="sj' in html else f'<div class="sj-card sj-scroll">{html}</div>'


def _image(kind: str, content: str) -> str:
    coded = base64.b64encode(content.encode()).decode() if kind.endswith("xml") else content.replace("\n", "")
    return f'<img class="sj-image" alt="Picture" src="data:{kind};base64,{coded}">'


def _pre(text: str) -> str:
    return f'<pre class="sj-output">{escape(_ANSI.sub("", text).rstrip())}</pre>'


def _error(output: Mapping[str, Any]) -> str:
    """A card with the error's sentence; the traceback is folded away."""
    sentence, _, step = (_ANSI.sub("", output["evalue"]) or output["ename"]).partition(" Next: ")
    following = f'<p class="sj-next"><b>Next</b> {rich(step)}</p>' if step else ""
    trace = _pre("\n".join(output["traceback"]))
    return (
        f'<div class="sj-card sj-error">{mark(Status.CRITICAL, "Failed")}<h3>{rich(sentence)}</h3>{following}'
        f'<details class="sj-more"><summary>Show the traceback</summary>{trace}</details></div>'
    )


def _plot(figure: Mapping[str, Any], label: str) -> str:
    refuse_undrawable(figure)
    layout = figure.get("layout", {})
    height, width = int(layout.get("height") or _DEFAULT_HEIGHT), int((layout.get("meta") or {}).get("min_width", 0))
    missing = "The chart is drawn by JavaScript, which is off. Its figures are in the table."
    return (
        f'<div class="chart"><div class="sj-plot" role="img" aria-label="{attribute(label)}" style="min-height:{height}px;min-width:{width}px">'
        f'<p class="sj-missing"><noscript>{missing}</noscript></p></div>'
        f'<script type="application/json">{figure_script(figure)}</script></div>'
    )


def _grouped(blocks: Sequence[_Block]) -> list[str]:
    """Head, figure and foot of a chart in one card; charts of half width in pairs."""
    cards: list[_Block] = []
    open_chart: list[_Block] = []
    for block in blocks:
        if open_chart and block.part not in ("chart-figure", "chart-foot"):
            cards.append(_chart(open_chart))
            open_chart = []
        if block.part:
            open_chart.append(block)
        else:
            cards.append(block)
    if open_chart:
        cards.append(_chart(open_chart))
    return _paired(cards)


def _chart(parts: Sequence[_Block]) -> _Block:
    inner = "".join(part.html for part in parts)
    return _Block(f'<figure class="sj-card sj-chart">{inner}</figure>', "chart", any(part.half for part in parts))


def _paired(cards: Sequence[_Block]) -> list[str]:
    pieces: list[str] = []
    at = 0
    while at < len(cards):
        two = cards[at : at + 2]
        if len(two) == 2 and all(card.half for card in two):
            pieces.append(f'<div class="sj-pair">{two[0].html}{two[1].html}</div>')
            at += 2
        else:
            pieces.append(two[0].html)
            at += 1
    return pieces


def _with_header_first(pieces: list[str]) -> list[str]:
    """Readers meet the finding first, wherever the notebook could compute it."""
    header = next((piece for piece in pieces if "sj-header" in piece), None)
    return pieces if header is None else [header, *(piece for piece in pieces if piece is not header)]
