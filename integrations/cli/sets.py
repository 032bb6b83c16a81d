"""``flawsmith retrain sets`` and ``compare``: what models are trained and judged on."""

from typing import Annotated

import typer

from integrations.cli.console import print_json, say
from integrations.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption, existing_ledger

_SHOWN = 20


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
        typer.echo(f"{row.created_at:%Y-%m-%d %H:%M} {row.name}: {len(members)} images, {defective} defective")


def compare(
    first: Annotated[str, typer.Argument(metavar="SET", help="Name of the one.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="SET", help="Name of the other.", show_default=False)],
    ledger: LedgerOption = DEFAULT_LEDGER,
    every: Annotated[
        bool, typer.Option("--all", help="Name every image that differs.", show_default=f"the first {_SHOWN}")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say how one set version differs from another: images added, removed, and judged otherwise.

    The images go to stdout, the counts to stderr.

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

    say(
        f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed, "
        f"{found.unchanged} the same"
    )
    console = Console(soft_wrap=True)
    lines = found.lines()
    shown = lines if every else lines[:_SHOWN]
    for line in shown:
        console.print(escape(line), highlight=False)
    if len(shown) < len(lines):
        say(f"and {len(lines) - len(shown)} more: --all names them, --json too")
