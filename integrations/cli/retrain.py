"""``flawsmith retrain``: what the inspectors said becomes a better threshold, and a fallback where it helps."""

from typing import Annotated

import typer

from integrations.cli.console import bar, print_json, say
from integrations.cli.options import (
    DEFAULT_LEDGER,
    BundleOption,
    JsonOption,
    LedgerOption,
    SeedOption,
    existing_ledger,
)


def retrain(
    ledger: LedgerOption = DEFAULT_LEDGER,
    bundle: BundleOption = None,
    cost_escape: Annotated[float, typer.Option(help="What a bad part that is let through costs.", min=0.0)] = 20.0,
    cost_false_reject: Annotated[float, typer.Option(help="What a good part that is rejected costs.", min=0.0)] = 1.0,
    max_false_reject: Annotated[
        float | None,
        typer.Option(help="What the new threshold is to promise.", min=0.0, max=1.0, show_default="as the current one"),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn from the verdicts in the ledger. The detector's weights stay as they are.

    The threshold moves to where wrong decisions cost least, within its promise. A fallback that learned from confirmed
    defects is switched on only if the pair catches more of them at the same rate of false rejects. Parts about which
    inspectors disagree or are unsure are left out.

    Example: [bold]flawsmith retrain --cost-escape 50[/bold]
    """
    existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations.recording import confirmed_images, load_bundles, record_model
    from learning.relearn import Costs, relearn

    with Ledger.open(ledger) as opened:
        reports = []
        for loaded in load_bundles(opened, bundle):
            confirmed, unresolved = confirmed_images(opened, loaded.fingerprint)
            with bar("the bundle has its old threshold; run it again") as progress:
                costs = Costs(cost_escape, cost_false_reject)
                learned = relearn(loaded, confirmed, costs, seed, progress, max_false_reject)
            record_model(opened, loaded)
            threshold = learned.threshold
            reports.append(
                {"bundle": str(loaded.folder), "unresolved": unresolved, "promise": threshold.promise.text}
                | learned.report
            )
            if as_json:
                continue
            say(f"[bold]{loaded.folder}[/]: {learned.report['text']}")
            if unresolved:
                say(f"[yellow]{unresolved} images are unresolved[/] (disagreement or unsure) and were left out")
            say(f"threshold {threshold.version}: {threshold.value:.4g}, {threshold.promise.text}")
    if as_json:
        # One bundle, as most have, is not wrapped.
        print_json(reports[0] if len(reports) == 1 else {"bundles": reports})
