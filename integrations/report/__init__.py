"""Reports for people: one HTML file with figures and pictures."""

from integrations.report.content import (
    Answered,
    Camera,
    Comparison,
    Decided,
    Figures,
    Measurement,
    Outcome,
    Report,
    Share,
)
from integrations.report.html import COLUMNS, render_report, write_report

__all__ = [
    "COLUMNS",
    "Answered",
    "Camera",
    "Comparison",
    "Decided",
    "Figures",
    "Measurement",
    "Outcome",
    "Report",
    "Share",
    "render_report",
    "write_report",
]
