"""``flawsmith retrain sets`` and ``compare``: what models are trained and judged on."""

from typing import Annotated

import typer

from integrations.cli.console import print_json, say
from integrations.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption, existing_ledger


def sets(ledger: LedgerOption = DEFAULT_LEDGER, as_json: JsonOption = False) -> None:
    """List the set versions: what models were trained on, and what they are judged on.

    Example: [bold]flawsmith retrain sets[/bold]
    """
    existing_ledger(ledger)
    from dataclasses import asdict

    from curation.ledger import Ledger

    with Ledger.open(ledger) as opened:
        rows = [(row, opened.set_version(row.name).members) for row in opened.sets()]
    if as_json:
        print_json({"sets": [asdict(row) | {"images": len(members)} for row, members in rows]})
        return
    for row, members in rows:
        defective = sum(member.state == "defect" for member in members)
        say(f"{row.created_at:%Y-%m-%d %H:%M} [bold]{row.name}[/]: {len(members)} images, {defective} defective")


def compare(
    first: Annotated[str, typer.Argument(metavar="SET", help="Name of the one.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="SET", help="Name of the other.", show_default=False)],
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Say how one set version differs from another: images added, removed, and judged otherwise.

    Example: [bold]flawsmith retrain compare training-0123456789ab training-ba9876543210[/bold]
    """
    existing_ledger(ledger)
    from curation.ledger import Ledger
    from curation.set_versions import compare as compare_sets

    with Ledger.open(ledger) as opened:
        found = compare_sets(opened.set_version(first), opened.set_version(second))
    if as_json:
        print_json(
            {
                "added": [str(member.path) for member in found.added],
                "removed": [str(member.path) for member in found.removed],
                "changed": [str(after.path) for _, after in found.changed],
                "unchanged": found.unchanged,
            }
        )
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=True)
    for line in found.lines():
        console.print(escape(line), highlight=False)
    say(
        f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed, "
        f"{found.unchanged} the same"
    )
