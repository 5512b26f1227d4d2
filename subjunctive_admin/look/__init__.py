"""How everything looks: what notebooks display, charts, and the offline pages made of them.

Importing it loads no pandas, plotly or nbconvert; `look.page` makes the pages.
"""

from subjunctive_admin.look.charts import PALETTE, TENSE_COLOURS, TENSE_SYMBOLS, Chart, reference_line, soft, template
from subjunctive_admin.look.fragments import (
    Cell,
    CheckRow,
    CheckTable,
    Column,
    Finding,
    Findings,
    GroupRow,
    Header,
    KeyFigures,
    Note,
    Pill,
    Section,
    StatusBoard,
    Steps,
    Table,
    section,
    status_pill,
)
from subjunctive_admin.look.style import stylesheet, use_style

__all__ = [
    "PALETTE",
    "TENSE_COLOURS",
    "TENSE_SYMBOLS",
    "Cell",
    "Chart",
    "CheckRow",
    "CheckTable",
    "Column",
    "Finding",
    "Findings",
    "GroupRow",
    "Header",
    "KeyFigures",
    "Note",
    "Pill",
    "Section",
    "StatusBoard",
    "Steps",
    "Table",
    "reference_line",
    "section",
    "soft",
    "status_pill",
    "stylesheet",
    "template",
    "use_style",
]
