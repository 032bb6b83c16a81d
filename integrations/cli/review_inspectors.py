"""``flawsmith review status`` and ``gold``: where the questions are, and how inspectors agree and err."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from integrations.cli.console import print_json, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    HomeOption,
    JsonOption,
    LedgerOption,
    existing_ledger,
    here,
)
from learning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from curation.inspectors import ErrorRate, InspectorReport
    from curation.ledger import Truth


def add_to(review: typer.Typer) -> None:
    """Put the commands under ``flawsmith review``."""
    review.command()(status)
    review.command()(gold)


def status(ledger: LedgerOption = DEFAULT_LEDGER, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Count questions and verdicts in the ledger, and say how inspectors agree and err. No server is asked.

    Agreement is Cohen's kappa of each pair and Fleiss' kappa of all, on first answers. How an inspector errs is told by
    gold items, and by what at least two inspectors settled (of which the own word is part); intervals are exact, 95 %.

    Example: [bold]flawsmith review status --json[/bold]
    """
    existing_ledger(ledger)
    from dataclasses import asdict
    from datetime import UTC, datetime

    from curation.inspectors import inspector_report
    from curation.ledger import Ledger
    from integrations.daily import answers_of_the_day
    from integrations.label_studio.status import review_status

    with Ledger.open(ledger) as opened:
        counts = {name: count for name, count in asdict(review_status(opened)).items() if count is not None}
        report = inspector_report(opened)
        today = answers_of_the_day(opened, datetime.now(UTC))
    if as_json:
        print_json(counts | {"answered_today": today} | _as_data(report))
    else:
        _print(counts, report)
        if today:
            say("answered today: " + ", ".join(f"{who} {count}" for who, count in sorted(today.items())))
        say(f"answers that were not fetched yet are not among them: flawsmith review pull{here(ledger, home)}")


def gold(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images in the ledger.", show_default=False)],
    truth: Annotated[
        str | None, typer.Option(metavar="good|defect", help="What they show, for sure.", show_default=False)
    ] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    who: Annotated[str, typer.Option(metavar="NAME", help="Who vouches for it.")] = "data team",
    note: Annotated[str, typer.Option(help="Kept in the ledger.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Vouch for them no longer.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of another truth that somebody vouched for.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Name images whose truth is known, to be put among the questions by [bold]review push --gold[/bold].

    They look like any other question. Answers tell how the inspector errs, and are no verdicts on the image. What two
    inspectors settled serves as well, without being named. What somebody vouched for is not replaced unasked.

    Example: [bold]flawsmith review gold master/crack_01.png --truth defect[/bold]
    """
    existing_ledger(ledger)
    if (truth not in ("good", "defect")) if not undo else truth is not None:
        msg = "say what the images show with --truth good or --truth defect; --undo takes no truth"
        raise ConfigError(msg)
    from curation.ledger import Ledger, image_id_of

    keys = {image: image_id_of(image) for image in images}
    with Ledger.open(ledger) as opened:
        known = {row.image_id for row in opened.images()}
        strangers = [str(image) for image, key in keys.items() if key not in known]
        if strangers and not undo:
            msg = f"{strangers[0]} is not in the ledger: flawsmith score BUNDLE IMAGES --ledger {ledger}"
            raise DataError(msg)
        if undo:
            gone = opened.remove_gold_items(list(keys.values()), who, note)
            say(f"{len(gone)} of {len(keys)} images are gold items no longer")
            if as_json:
                print_json({"images": len(keys), "gold": False, "changed": len(gone)})
            return
        said: Truth = "good" if truth == "good" else "defect"
        before = {item.image_id: item for item in opened.set_gold_items(list(keys.values()), said, who, note, replace)}
    for image, key in keys.items():
        if item := before.get(key):
            say(escape(f"{image} was {item.truth}: {item.who}, {item.at:%Y-%m-%d %H:%M} UTC {item.note}".rstrip()))
    say(f"[green]{len(keys)} gold items[/] are {truth}; next: flawsmith review push --gold 4{here(ledger, home)}")
    if as_json:
        print_json({"images": len(keys), "gold": True, "truth": said, "replaced": len(before)})


def _as_data(report: "InspectorReport") -> dict[str, Any]:
    from dataclasses import asdict

    figures = []
    for one in report.inspectors:
        biases = {
            name: {way: asdict(rate) | {"rate": rate.rate} for way, rate in vars(bias).items()}
            for name, bias in (("gold", one.gold), ("settled", one.settled))
        }
        figures.append({"inspector": one.inspector, "answers": one.answers, "unsure": one.unsure} | biases)
    agreement = {
        "images": report.images,
        "fleiss_kappa": report.fleiss,
        "pairs": [
            {"inspectors": [pair.first, pair.second], "images": pair.images, "cohen_kappa": pair.kappa}
            for pair in report.pairs
        ],
    }
    return {"agreement": agreement, "inspectors": figures}


def _print(counts: dict[str, int], report: "InspectorReport") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
    if not report.inspectors:
        return
    columns = ("inspector", "answers", "unsure")
    rates = ("false good, gold", "false defect, gold", "false good, settled", "false defect, settled")
    table = Table(*columns, *rates)
    for one in report.inspectors:
        biases = (one.gold.false_good, one.gold.false_defect, one.settled.false_good, one.settled.false_defect)
        table.add_row(one.inspector, str(one.answers), str(one.unsure), *(_rate(rate) for rate in biases))
    console.print(table)
    for pair in report.pairs:
        console.print(f"{pair.first} and {pair.second}: {_kappa(pair.kappa, 'Cohen', pair.images)}")
    if report.pairs:
        console.print(f"all inspectors: {_kappa(report.fleiss, 'Fleiss', report.images)}")


def _rate(rate: "ErrorRate") -> str:
    if not rate.answers:
        return "–"
    return f"{rate.errors} of {rate.answers} ({100 * rate.low:.0f}–{100 * rate.high:.0f} %)"


def _kappa(kappa: float | None, name: str, images: int) -> str:
    said = "not defined, as only one answer was ever given" if kappa is None else f"{kappa:.2f}"
    return f"{name}'s kappa {said}, over {images} image{'s' if images != 1 else ''}"
