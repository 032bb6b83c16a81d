"""The realism report of ``flawsmith synth --report``."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import bar, say
from integrations.cli.options import existing_bundle, existing_data, existing_ledger

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


def write_report(
    synthetic: Path, report: Path, bundle: Path | None, ledger: str | None, confirmed: Path | None, seed: int
) -> None:
    """Write the report on a set, and say its sentences."""
    if bundle is not None:
        existing_bundle(bundle)
    if confirmed is not None:
        existing_data(confirmed)
    if ledger is not None:
        existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations.realism import report_realism

    with ExitStack() as stack:
        opened = stack.enter_context(Ledger.open(ledger)) if ledger is not None else None
        progress = stack.enter_context(bar("the set is whole; the same command writes the report"))
        realism = report_realism(
            synthetic, report, bundle=bundle, ledger=opened, confirmed=confirmed, seed=seed, progress=progress
        )
    for sentence in realism.sentences:
        say(sentence)
    say(f"the report is in [green]{report}[/]")
