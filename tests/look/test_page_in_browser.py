"""What a person sees: charts that are drawn, both themes, two widths, and not one request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.look.sample import charts, full_notebook, page
from tests.look.test_page import entry, index

pytestmark = pytest.mark.browser

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


@dataclass
class Seen:
    """A page in the browser, what it asked for and what it complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def colour_of(self, selector: str, style: str = "fill") -> str:
        found: str = self.page.eval_on_selector(selector, f"e => getComputedStyle(e).{style}")
        return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    pages = {"report": page(full_notebook()), "index": index(entry("10"), entry("20", group="Content"))}
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@contextmanager
def opened(
    browser: Browser, file: Path, *, width: int = 1280, theme: Literal["light", "dark"] = "light", **more: Any
) -> Iterator[Seen]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **more)
    seen = Seen(context.new_page())
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("console", lambda message: seen.complaints.append(message.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.goto(file.as_uri())
    if file.stem == "report" and more.get("java_script_enabled", True):
        # Not wait_for_function: the page's policy forbids eval, which Playwright needs for it.
        seen.page.locator(".sj-plot").nth(len(charts()) - 1).locator(".heatmaplayer image").wait_for(state="attached")
        seen.page.wait_for_timeout(200)
    yield seen
    context.close()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["report", "index"])
def test_a_page_asks_for_nothing_complains_of_nothing_and_fits(
    browser: Browser, files: dict[str, Path], name: str, width: int
) -> None:
    with opened(browser, files[name], width=width) as seen:
        assert seen.requests == [files[name].as_uri()]
        assert seen.complaints == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_chart_has_drawn_its_marks(browser: Browser, files: dict[str, Path]) -> None:
    with opened(browser, files["report"]) as seen:
        plots = seen.page.locator(".sj-plot")
        assert plots.nth(0).locator(".scatterlayer .js-line").count() == 1
        assert plots.nth(0).locator(".scatterlayer .point").count() == 3
        assert plots.nth(1).locator(".scatterlayer .point").count() == 2
        assert plots.nth(2).locator(".barlayer .point path").count() == 3
        assert plots.nth(3).locator(".heatmaplayer image").count() == 1
        assert seen.page.locator(".sj-missing").count() == 0
        assert seen.page.locator(".modebar-btn").count() == 0


def test_the_colours_of_a_chart_follow_the_theme_and_its_change(browser: Browser, files: dict[str, Path]) -> None:
    ticks, bars = ".ytick text", ".barlayer .point path"
    with opened(browser, files["report"]) as seen:
        light = seen.colour_of(ticks), seen.colour_of(bars), seen.colour_of("body", "color")
        seen.page.emulate_media(color_scheme="dark")
        seen.page.wait_for_timeout(400)
        assert seen.colour_of(ticks) == "rgb(182, 194, 205)"
        assert seen.colour_of(bars) == "rgb(47, 159, 224)"
        assert light == ("rgb(68, 81, 94)", "rgb(0, 128, 200)", "rgb(22, 32, 43)")


def test_a_theme_that_the_page_names_wins_over_the_systems(browser: Browser, files: dict[str, Path]) -> None:
    with opened(browser, files["report"], theme="dark") as seen:
        seen.page.evaluate("document.documentElement.dataset.theme = 'light'")
        seen.page.wait_for_timeout(400)
        assert seen.colour_of(".ytick text") == "rgb(68, 81, 94)"
        assert seen.colour_of("body", "backgroundColor") == "rgb(245, 247, 249)"


def test_without_javascript_the_page_says_what_is_missing_and_the_figures_open(
    browser: Browser, files: dict[str, Path]
) -> None:
    with opened(browser, files["report"], java_script_enabled=False) as seen:
        assert "drawn by JavaScript, which is off" in seen.page.locator(".sj-missing").first.inner_text()
        seen.page.locator("summary").first.click()
        assert seen.page.locator("details[open] td", has_text="nosotros").first.is_visible()


def test_a_browser_that_cannot_unpack_says_so(browser: Browser, files: dict[str, Path]) -> None:
    context = browser.new_context()
    context.add_init_script("delete window.DecompressionStream")
    shown = context.new_page()
    shown.goto(files["report"].as_uri())
    assert "lacks DecompressionStream" in shown.locator(".sj-missing").first.inner_text()
    context.close()


def test_a_script_that_came_in_with_an_output_does_not_run(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    planted = "<main><script>document.title='owned'</script><img src='data:,' onerror=\"document.title='owned'\">"
    file.write_text(page(full_notebook()).replace("<main>", planted), encoding="utf-8")
    with opened(browser, file) as seen:
        assert seen.page.title().startswith("One thing needs you")


def test_print_is_white_with_the_figures_open(browser: Browser, files: dict[str, Path]) -> None:
    with opened(browser, files["report"], theme="dark") as seen:
        seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        seen.page.emulate_media(media="print")
        assert seen.page.locator("details:not([open])").count() == 0
        assert seen.colour_of(".sj-card", "backgroundColor") == "rgb(255, 255, 255)"
        seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert seen.page.locator("details[open]").count() == 0
