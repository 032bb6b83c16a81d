"""``flawsmith retrain``: what the inspectors said becomes a better threshold, and a fallback where it helps."""

from typing import Annotated

import typer
from rich.markup import escape

from integrations.cli.console import bar, print_json, say
from integrations.cli.options import (
    DEFAULT_LEDGER,
    BundleOption,
    JsonOption,
    LedgerOption,
    SeedOption,
    existing_ledger,
)
from learning.errors import ConfigError

app = typer.Typer(no_args_is_help=False)


@app.callback(invoke_without_command=True)
def retrain(
    context: typer.Context,
    ledger: LedgerOption = DEFAULT_LEDGER,
    bundle: BundleOption = None,
    cost_escape: Annotated[float, typer.Option(help="What a bad part that is let through costs.")] = 20.0,
    cost_false_reject: Annotated[float, typer.Option(help="What a good part that is rejected costs.")] = 1.0,
    max_false_reject: Annotated[
        float | None,
        typer.Option(help="What the new threshold is to promise.", min=0.0, max=1.0, show_default="as the current one"),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn from the verdicts in the ledger: at once by a new threshold, or by a challenger whose weights learn too.

    Without a further command the detector's weights stay as they are.

    The threshold moves to where wrong decisions cost least, within its promise. A fallback that learned from confirmed
    defects is switched on only if the pair catches more of them at the same rate of false rejects. Parts about which
    inspectors disagree or are unsure are left out.

    [bold]retrain challenger[/bold] trains a whole model, which replaces the champion only if it proves to be better.

    Example: [bold]flawsmith retrain --cost-escape 50[/bold]
    """
    if context.invoked_subcommand is not None:
        # By its name: typer brings a click of its own.
        sources = {name: context.get_parameter_source(name) for name in context.params}
        given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
        if given:
            option = f"--{given[0].replace('_', '-').replace('as-json', 'json')}"
            msg = f"{option} comes after the command: flawsmith retrain {context.invoked_subcommand} {option} …"
            raise ConfigError(msg)
        return
    existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations.challengers import groups_that_taught
    from integrations.recording import confirmed_images, load_bundles, record_model
    from learning.relearn import Costs, relearn

    costs = Costs(cost_escape, cost_false_reject)
    with Ledger.open(ledger) as opened:
        reports = []
        for loaded in load_bundles(opened, bundle):
            confirmed, unresolved = confirmed_images(opened, loaded.fingerprint, groups_that_taught(opened, loaded))
            with bar("the bundle has its old threshold; run it again") as progress:
                learned = relearn(loaded, confirmed, costs, seed, progress, max_false_reject)
            record_model(opened, loaded)
            threshold = learned.threshold
            reports.append(
                {"bundle": str(loaded.folder), "unresolved": unresolved, "promise": threshold.words} | learned.report
            )
            if as_json:
                continue
            say(f"[bold]{escape(str(loaded.folder))}[/]: {escape(learned.report['text'])}")
            if unresolved:
                say(f"[yellow]{unresolved} images are unresolved[/] (disagreement or unsure) and were left out")
            say(f"threshold {threshold.version}: {threshold.value:.4g}, {threshold.words}")
    if as_json:
        # One bundle, as most have, is not wrapped.
        print_json(reports[0] if len(reports) == 1 else {"bundles": reports})
