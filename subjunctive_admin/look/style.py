"""The stylesheet, and how a notebook applies it once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


@cache
def stylesheet() -> str:
    """The tokens as CSS variables and every rule; all of it under `.sj`, so that nothing else changes."""
    return (_FOLDER / "style.css").read_text(encoding="utf-8")


@dataclass(frozen=True, repr=False)
class Style:
    """Shows nothing; its HTML is the stylesheet, for the outputs below it."""

    def _repr_html_(self) -> str:
        return f'<style class="sj-style">{stylesheet()}</style>'

    def __repr__(self) -> str:
        return "Style applied."


def use_style() -> Style:
    """What a notebook displays once, at its top."""
    return Style()
