"""Pages: everything a notebook showed, nothing it did not mean to show, and no way out to the network."""

from __future__ import annotations

import datetime as dt
import re

import nbformat
import pytest

from subjunctive_admin.errors import UsageError
from subjunctive_admin.look import Header, Note, use_style
from subjunctive_admin.look.charts import PLOTLY_MIME
from subjunctive_admin.look.page import IndexEntry, index_html
from subjunctive_admin.vocabulary import Status
from tests.look.sample import charts, full_notebook, markdown, notebook, output, page, shown

AT = dt.datetime(2026, 11, 22, 6, tzinfo=dt.UTC)


def entry(number: str = "10", status: Status = Status.OK, group: str = "Operations", **changed: str) -> IndexEntry:
    texts = {"name": f"{number}_x", "title": f"Report {number}", "finding": "All well", "detail": "n 3", **changed}
    return IndexEntry(
        number=number, group=group, status=status, seconds=1.94, href="x.html", notebook_href="x.ipynb", **texts
    )


def index(*entries: IndexEntry, title: str = "2 reports ran", summary: str = "Run `it`.") -> str:
    about, commands = [("Data", "500 learners")], [("Run one again", "subjunctive-admin report run health")]
    return index_html(entries, title=title, summary=summary, generated_at=AT, about=about, commands=commands)


def test_a_page_names_no_address_to_load_from() -> None:
    html = page(full_notebook())
    outside = re.sub(r"<script type=\"text/plain\".*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", outside)
    assert "@import" not in outside
    assert "default-src 'none'" in outside


def test_a_page_with_charts_is_small_and_has_plotly_once() -> None:
    html = page(full_notebook())
    assert len(html.encode()) < 1_200_000
    assert html.count('id="sj-plotly"') == 1
    assert html.count('class="sj-plot"') == len(charts())


def test_a_page_without_charts_has_no_plotly_and_no_script() -> None:
    html = page(notebook(shown(Note("Hello"))))
    assert "<script" not in html
    assert len(html.encode()) < 50_000


def test_the_same_notebook_makes_the_same_page() -> None:
    assert page(full_notebook()) == page(full_notebook())


def test_the_pages_scripts_have_a_nonce_that_depends_on_all_of_it() -> None:
    def nonce(html: str) -> str:
        return re.findall(r"script-src 'nonce-([^']+)'", html)[0]  # type: ignore[no-any-return]

    one = page(full_notebook())
    assert f'<script nonce="{nonce(one)}">' in one
    assert nonce(one) != nonce(page(full_notebook(), run_id="other"))


def test_the_finding_comes_first_wherever_the_notebook_computed_it() -> None:
    html = page(full_notebook())
    assert html.index("<h1>One thing needs you</h1>") < html.index("69\u202f595")
    assert html.count("<h1>") == 1


def test_the_notebooks_own_title_gives_way_and_its_prose_goes_to_the_end() -> None:
    html = page(full_notebook())
    assert "<h1>Sample</h1>" not in html
    assert html.index("About this report") < html.index("What this notebook does.")
    assert "<dt>days</dt><dd>30</dd>" in html


def test_a_notebook_without_a_header_gets_the_one_of_its_result() -> None:
    html = page(notebook(markdown("## Text")))
    assert "<h1>One thing needs you</h1>" in html
    assert "A detail" in html


def test_a_page_without_a_headline_falls_back_to_its_title() -> None:
    assert "<h1>Sample</h1>" in page(notebook(), result={})


def test_top_and_bottom_say_what_when_and_where_the_data_is() -> None:
    html = page(notebook())
    assert "<b>Subjunctive Admin</b>Sample report" in html
    assert "Sunday 22 Nov 2026, 06:00 UTC" in html
    assert "<code>sample-20261122-060000</code>" in html
    assert '<a href="result.json">result.json</a>' in html


def test_source_style_and_results_are_not_shown() -> None:
    result = output({"application/vnd.subjunctive.result+json": {"status": "ok"}, "text/plain": "ok: unsaid"})
    html = page(notebook(shown(use_style(), result)))
    assert "secret_source" not in html
    assert "unsaid" not in html
    assert html.count("--ink:") == 1


def test_cells_tagged_for_it_and_papermills_notices_are_left_out() -> None:
    tags = ("remove-cell", "papermill-error-cell-tag")
    html = page(notebook(*(markdown(f"gone {tag}", tag) for tag in tags), markdown("kept")))
    assert "gone" not in html.partition("<body")[2]
    assert "<p>kept</p>" in html


def test_markdown_is_rendered_and_its_html_escaped() -> None:
    html = page(notebook(markdown("## Head\n\n- a\n\n<script>alert(1)</script>\n\n[x](javascript:alert(2))")))
    assert "<h2>Head</h2>" in html
    assert "<li>a</li>" in html
    assert "<script>alert" not in html
    assert "javascript:" not in html


@pytest.mark.parametrize("kind", ["title", "audience", "run_id"])
def test_texts_of_a_page_are_escaped(kind: str) -> None:
    assert "<script>alert" not in page(notebook(), **{kind: "<script>alert(1)</script>"})


def test_the_headline_and_the_parameters_are_escaped() -> None:
    attack = "</title><script>alert(1)</script>"
    html = page(
        notebook(), result={"status": "ok", "headline": attack, "detail": attack, "parameters": {attack: attack}}
    )
    assert "<script>alert" not in html


def test_a_figure_cannot_end_its_script_element() -> None:
    figure = charts()[0].json()
    figure["layout"]["title"] = {"text": "</script><script>alert(1)</script>"}
    assert "<script>alert" not in page(notebook(shown(output({PLOTLY_MIME: figure}))))


def test_what_was_printed_is_shown_and_the_log_is_not() -> None:
    streams = [nbformat.v4.new_output("stream", name=n, text=f"\x1b[1mto {n}\x1b[0m <b>") for n in ("stdout", "stderr")]
    html = page(notebook(shown(*streams)))
    assert '<pre class="sj-output">to stdout &lt;b&gt;</pre>' in html
    assert "to stderr" not in html


def test_an_error_is_a_sentence_its_next_step_and_a_folded_traceback() -> None:
    error = nbformat.v4.new_output(
        "error", ename="NotFound", evalue="There is no verb <b>. Next: list verbs", traceback=["\x1b[31mTrace\x1b[0m"]
    )
    html = page(notebook(shown(error)))
    assert "<h3>There is no verb &lt;b&gt;.</h3>" in html
    assert "<b>Next</b> list verbs" in html
    assert '<summary>Show the traceback</summary><pre class="sj-output">Trace</pre>' in html


def test_the_error_that_only_sets_the_exit_code_is_not_shown() -> None:
    error = nbformat.v4.new_output("error", ename="ReportFailed", evalue="warning: x", traceback=["t"])
    assert "Show the traceback" not in page(notebook(shown(error)))


def test_a_form_says_where_it_works() -> None:
    view = output({"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox()"})
    html = page(notebook(shown(view)))
    assert "An interactive form: open the notebook in JupyterLab." in html
    assert "VBox" not in html


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"text/markdown": "**x**"}, "<strong>x</strong>"),
        ({"image/png": "aGk=\n"}, 'src="data:image/png;base64,aGk="'),
        ({"image/svg+xml": "<svg/>"}, "data:image/svg+xml;base64,PHN2Zy8+"),
        ({"text/html": "<table class='dataframe'></table>"}, '<div class="sj-card sj-scroll"><table'),
        ({"text/plain": "a <b>"}, '<pre class="sj-output">a &lt;b&gt;</pre>'),
    ],
)
def test_the_other_kinds_of_output_are_shown(data: dict[str, str], expected: str) -> None:
    assert expected in page(notebook(shown(output(data))))


def test_the_parts_of_a_chart_stand_in_one_card_and_halves_in_a_pair() -> None:
    html = page(full_notebook())
    assert html.count('<figure class="sj-card sj-chart">') == 4
    assert html.count('<div class="sj-pair">') == 1
    assert 'role="img" aria-label="Ojalá is easiest"' in html


def test_one_half_alone_takes_the_whole_width() -> None:
    assert '<div class="sj-pair">' not in page(notebook(shown(charts()[0])))


def test_a_figure_of_plotly_itself_is_drawn_too() -> None:
    html = page(notebook(shown(output({PLOTLY_MIME: charts()[0].json()}))))
    assert html.count('<figure class="sj-card sj-chart">') == 1


def test_a_figure_that_the_bundle_cannot_draw_is_refused() -> None:
    figure = {"data": [{"type": "scatter3d"}], "layout": {}}
    with pytest.raises(UsageError, match="cannot draw scatter3d"):
        page(notebook(shown(output({PLOTLY_MIME: figure}))))


def test_headers_need_no_summary_and_no_facts() -> None:
    assert "<h1>Bare</h1></header>" in page(notebook(shown(Header("Bare"))))


def test_the_index_groups_reports_and_counts_their_statuses() -> None:
    html = index(entry("10", Status.CRITICAL), entry("11", Status.WARNING), entry("20", Status.WARNING, "Content"))
    assert re.findall(r'rowgroup" colspan="6">(\w+)<', html) == ["Operations", "Content"]
    assert html.index("1 critical") < html.index("2 warnings")
    assert "1.9 s" in html
    assert "<code>subjunctive-admin report run health</code>" in html
    assert "<script" not in html


def test_the_index_says_so_when_no_report_has_run() -> None:
    assert "No report has run." in index()


def test_texts_of_the_index_are_escaped() -> None:
    attack = "<script>alert(1)</script>"
    html = index(entry(name=attack, title=attack, finding=attack, detail=attack), title=attack, summary=attack)
    assert "<script" not in html
