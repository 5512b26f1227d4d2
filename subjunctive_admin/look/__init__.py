"""How everything looks: what notebooks display, charts, and the offline pages made of them.

Importing it loads no pandas, plotly or nbconvert; `look.page` makes the pages.
"""

from subjunctive_admin.look.charts import (
    DIVERGING,
    PALETTE,
    TENSE_COLOURS,
    TENSE_SYMBOLS,
    Chart,
    heat_map,
    label_series,
    reference_line,
    soft,
    template,
)
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
    "DIVERGING",
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
    "heat_map",
    "label_series",
    "reference_line",
    "section",
    "soft",
    "status_pill",
    "stylesheet",
    "template",
    "use_style",
]
