"""What a terminal shows while something runs: lines of at most 80 columns, and in a file nothing but finished ones."""

from __future__ import annotations

import io

import pytest

from subjunctive_admin.narration import Narrator, Step, can_encode, symbol
from subjunctive_admin.vocabulary import Status

LONG = "The schema is at revision 0001 and the newest one is 0002, so that everything waits for a migration"


class Terminal(io.TextIOWrapper):
    """A stream in memory that says it is a terminal."""

    def __init__(self, encoding: str = "utf-8", *, tty: bool = True) -> None:
        self.bytes = io.BytesIO()
        self._tty = tty
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return self._tty

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


def narrated(stream: Terminal, label: str = "Seed", detail: str = "", status: Status = Status.OK) -> str:
    with Narrator(stream).step(label) as step:
        step.detail, step.status = detail, status
    return stream.text


@pytest.fixture
def log() -> Terminal:
    """What stderr is when it goes to a file."""
    return Terminal(tty=False)


def test_a_step_is_one_line_with_its_sign_detail_and_time(log: Terminal) -> None:
    line = narrated(log, "Start the embedded PostgreSQL", "version 18.1")
    assert line == f"{'  ✓  Start the embedded PostgreSQL':<40}{'version 18.1':<31}   0.0 s\n"


@pytest.mark.parametrize("label", ["Seed", "A notebook with quite a long title of its own", LONG])
@pytest.mark.parametrize("detail", ["", "ok", LONG])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_80_columns(label: str, detail: str, encoding: str) -> None:
    (line,) = narrated(Terminal(encoding, tty=False), label, detail).splitlines()
    assert len(line) <= 80
    assert line.endswith("0.0 s")


def test_what_does_not_fit_ends_in_an_ellipsis(log: Terminal) -> None:
    assert "… " in narrated(log, "Health", LONG)


@pytest.mark.parametrize(
    ("status", "sign", "letters"),
    [
        (Status.OK, "✓", "ok"),
        (Status.INFO, "i", "i"),
        (Status.WARNING, "!", "!"),
        (Status.CRITICAL, "✕", "x"),
        (Status.UNKNOWN, "?", "?"),
        (Status.SKIPPED, "–", "-"),
    ],
)
def test_a_status_has_a_sign_and_letters_where_the_sign_cannot_be_shown(
    status: Status, sign: str, letters: str
) -> None:
    assert (symbol(status), symbol(status, ascii_only=True)) == (sign, letters)
    assert narrated(Terminal("utf-8", tty=False), status=status).startswith(f"  {sign:<2} Seed")
    assert narrated(Terminal("ascii", tty=False), status=status).startswith(f"  {letters:<2} Seed")


def test_the_signs_of_all_statuses_differ() -> None:
    for ascii_only in (False, True):
        assert len({symbol(status, ascii_only=ascii_only) for status in Status}) == len(Status)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_sentence_with_signs_that_the_stream_lacks_is_written_all_the_same(encoding: str) -> None:
    stream = Terminal(encoding, tty=False)
    Narrator(stream).say("Ojalá – 3 ✓")
    assert stream.text == "Ojal? ? 3 ?\n"


def test_an_encoding_that_is_not_known_counts_as_ascii() -> None:
    class Odd(Terminal):
        encoding = "no-such-encoding"

    assert not can_encode(Odd())
    assert can_encode(Terminal())


def test_a_file_sees_finished_lines_alone(log: Terminal) -> None:
    narrator = Narrator(log)
    with narrator.step("Seed") as step:
        narrator.progress("reading")
        narrator.counter("Seed")(3, 9)
        step.detail = "9 items"
    assert log.text == f"{'  ✓  Seed':<40}{'9 items':<31}   0.0 s\n"
    assert "\r" not in log.text
    assert "\x1b" not in log.text


def test_a_terminal_sees_the_running_line_and_nothing_remains_of_it() -> None:
    terminal = Terminal()
    narrator = Narrator(terminal)
    with narrator.step("Seed"):
        narrator.counter("Seed")(3, 9)
    shown = [part.removeprefix("\x1b[2K") for part in terminal.text.split("\r")]
    assert [part.strip() for part in shown[:3]] == ["", "Seed ...", "Seed: 3 of 9"]
    assert "✓  Seed" in shown[3]
    assert terminal.text.count("\n") == 1


def test_the_running_line_is_cut_before_it_would_wrap() -> None:
    terminal = Terminal()
    Narrator(terminal).progress("x" * 300)
    assert len(terminal.text.removeprefix("\r\x1b[2K")) == 79


def test_the_line_of_a_failing_step_says_so_and_the_error_goes_on(log: Terminal) -> None:
    with pytest.raises(RuntimeError, match="no disk"), Narrator(log).step("Seed"):
        raise RuntimeError("no disk")
    assert log.text.startswith("  ✕  Seed ")


def test_an_interrupt_fails_its_step_too(log: Terminal) -> None:
    with pytest.raises(KeyboardInterrupt), Narrator(log).step("Seed"):
        raise KeyboardInterrupt
    assert log.text.startswith("  ✕  Seed ")


def test_a_step_within_a_step_is_indented(log: Terminal) -> None:
    narrator = Narrator(log)
    with narrator.step("Reports"), narrator.step("12 Health", indent=5):
        pass
    assert [line.split("  0.0 s")[0].rstrip() for line in log.text.splitlines()] == [
        "     ✓  12 Health",
        "  ✓  Reports",
    ]


def test_the_total_stands_under_the_times(log: Terminal) -> None:
    narrated(log)
    Narrator(log).total(12.34)
    step, rule, total = log.text.splitlines()
    assert total.startswith("  Total ")
    assert total.endswith("  12.3 s")
    assert len(step) == len(total)
    assert len(rule) <= 80


def test_a_step_begins_as_ok_without_detail() -> None:
    assert Step("Seed") == Step("Seed", detail="", status=Status.OK)


def test_without_a_stream_the_narration_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Narrator().say("Only a sentence.")
    assert capsys.readouterr() == ("", "Only a sentence.\n")
