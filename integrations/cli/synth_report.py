"""The realism report of ``flawsmith synth --report``."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.console import bar, say
from integrations.cli.options import existing_bundle, existing_data, existing_ledger

if TYPE_CHECKING:
    from integrations.realism import Real

ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write an HTML report on how real the flaws look: beside confirmed defects, where there are some.",
        show_default="none",
    ),
]
ReportLedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        envvar="FLAWSMITH_LEDGER",
        metavar="URL",
        help="For the report: its confirmed defects are the real ones.",
    ),
]
ReportConfirmedOption = Annotated[
    Path | None,
    typer.Option(
        "--confirmed",
        metavar="DIR",
        help="For the report: confirmed defects as test/CLASS and ground_truth/CLASS, instead of the ledger's.",
        show_default="none",
    ),
]


def find_real(report: Path, bundle: Path | None, ledger: str | None, confirmed: Path | None) -> "Real":
    """Find what the report compares a set with, before the set is made: a mistake is said at once.

    Raises:
        DataError: If the ledger, the confirmed defects or the report's file cannot be used.
        BundleError: If the bundle cannot be used.
    """
    if bundle is not None:
        existing_bundle(bundle)
    if confirmed is not None:
        existing_data(confirmed)
    if ledger is not None:
        existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations import realism
    from integrations.report.place import check_page

    check_page(report)
    with ExitStack() as stack:
        opened = stack.enter_context(Ledger.open(ledger)) if ledger is not None else None
        return realism.find_real(bundle=bundle, ledger=opened, confirmed=confirmed)


def write_report(synthetic: Path, report: Path, real: "Real", seed: int) -> None:
    """Write the report on a set, and say its sentences."""
    from integrations.realism import report_realism

    with bar("the set is whole; the same command writes the report") as progress:
        realism = report_realism(synthetic, report, real, seed=seed, progress=progress)
    for sentence in realism.sentences:
        say(sentence)
    say(f"the report is in [green]{report}[/]")
