"""``flawsmith defects``: what inspectors confirmed becomes a bank that flaws are made from."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import bar, say
from integrations.cli.options import DEFAULT_LEDGER, LedgerOption, SeedOption, existing_ledger


def defects(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="BANK", help="Folder to write.", show_default=False)],
    ledger: LedgerOption = DEFAULT_LEDGER,
    chosen: Annotated[
        bool, typer.Option("--chosen", help="Only images chosen by curate source or in FiftyOne.")
    ] = False,
    made: Annotated[
        int, typer.Option(help="Add so many that a network makes after the confirmed ones; it takes 50 of them.", min=0)
    ] = 0,
    steps: Annotated[int, typer.Option(help="Steps that the network learns for.", min=1)] = 1500,
    seed: SeedOption = 0,
) -> None:
    """Cut the defects that inspectors agree on and marked out of their images, for [bold]train --defects[/bold].

    Images that are gone or were changed since, and those about which inspectors disagree, are left out.

    Example: [bold]flawsmith defects --ledger plant.db --out defects[/bold]
    """
    existing_ledger(ledger)
    from integrations.defects import defect_bank
    from learning.defects import check_bank_place, save_bank

    check_bank_place(out)
    with bar("run it again") as progress:
        bank, reasons = defect_bank(ledger, progress, chosen)
        if made:
            from learning.generative import DefectGenerator

            bank += DefectGenerator.train(bank, steps, seed, progress=progress).sample(made, seed)
    for reason in reasons:
        say(f"[yellow]left out[/]: {reason}")
    save_bank(bank, out)
    say(f"{len(bank)} defects are in [green]{out}[/]")
