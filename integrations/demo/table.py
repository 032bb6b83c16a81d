"""Before and after as tables for the terminal."""

from rich.console import Group
from rich.table import Table

from integrations.report import Comparison, Measurement, Share


def before_after(measurement: Measurement) -> Group:
    """Two tables: all parts with intervals, then each kind."""
    overall = measurement.overall
    table = Table(title=f"Before and after, on {measurement.stream} ({len(measurement.parts)} parts, none asked about)")
    table.add_column("")
    table.add_column("before")
    table.add_column("after")
    rows = (("false-reject rate", "false_reject"), ("escape rate", "escape"), ("image AUROC", "auroc"))
    for title, name in rows:
        table.add_row(title, _long(getattr(overall.before, name)), _long(getattr(overall.after, name)))
    table.add_row("answers used", "0", str(measurement.answers))
    table.add_row("supervised fallback", "–", "on" if measurement.after.fallback else "off")

    kinds = Table(title="By kind of part (before → after)")
    for title in ("kind", "false-reject rate", "escape rate", "image AUROC"):
        kinds.add_column(title)
    for comparison in measurement.by_kind:
        kinds.add_row(comparison.name, *(_change(comparison, name) for _, name in rows))
    return Group(table, kinds)


def _change(comparison: Comparison, name: str) -> str:
    return f"{_short(getattr(comparison.before, name))} → {_short(getattr(comparison.after, name))}"


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
