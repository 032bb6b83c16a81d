"""Before and after as tables for the terminal."""

from rich.console import Group
from rich.table import Table

from integrations.report import COLUMNS, Comparison, Measurement, Share


def before_after(measurement: Measurement) -> Group:
    """Two tables: all parts with intervals, then each camera."""
    overall = measurement.overall
    table = Table(title=f"Before and after, on {measurement.stream} ({len(measurement.parts)} parts, none asked about)")
    table.add_column("")
    for title, _ in COLUMNS:
        table.add_column(title)
    rows = (("false-reject rate", "false_reject"), ("escape rate", "escape"), ("image AUROC (mean)", "auroc"))
    for title, name in rows:
        table.add_row(title, *(_long(getattr(getattr(overall, column), name)) for _, column in COLUMNS))
    table.add_row("answers used", "0", "0", str(measurement.answers))
    on = [camera.comparison.name for camera in measurement.cameras if camera.after.fallback]
    table.add_row("supervised fallback", "–", "–", f"on for {', '.join(on)}" if on else "off")

    cameras = Table(title="By camera (before → same promise, no answers → after)")
    for title in ("camera", "false-reject rate", "escape rate", "image AUROC"):
        cameras.add_column(title)
    for camera in measurement.cameras:
        cameras.add_row(camera.comparison.name, *(_change(camera.comparison, name) for _, name in rows))
    return Group(table, cameras)


def _change(comparison: Comparison, name: str) -> str:
    return " → ".join(_short(getattr(getattr(comparison, column), name)) for _, column in COLUMNS)


def _short(share: Share) -> str:
    if share.value is None:
        return "–"
    return f"{share.value:.3f}" if share.hits is None else f"{100 * share.value:.1f} % ({share.hits}/{share.of})"


def _long(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return _short(share)
    if share.hits is None:
        return f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
    return f"{_short(share)} [{100 * share.low:.1f}, {100 * share.high:.1f}]"
