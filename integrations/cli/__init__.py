"""The command line: one file per command, and every heavy import inside the command that needs it."""

import typer

from integrations.cli import (
    challenger,
    clusters,
    curate,
    defects,
    demo,
    doctor,
    drift,
    evaluate,
    explain,
    export,
    parts,
    retrain,
    review,
    review_backend,
    review_inspectors,
    schedule,
    score,
    synth,
    threshold,
    train,
)
from integrations.cli.console import OneLineErrors
from integrations.endings import INTERRUPTED, once_more_ends_at_once

__all__ = ["app", "main"]

app = typer.Typer(
    name="flawsmith",
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Learn what good parts look like, find the others, and get better with every answer of an inspector.\n\n"
    "Start with [bold]flawsmith demo[/bold], which shows the whole loop on parts made up for it. With images of your "
    "own: [bold]train[/bold] on good parts, [bold]score[/bold] what the line produces, [bold]review push[/bold] what "
    "is borderline to the inspectors, [bold]review pull[/bold] their verdicts, [bold]retrain[/bold].",
)

app.command("demo", rich_help_panel="Try it")(demo.demo)
app.command("parts", rich_help_panel="Try it")(parts.parts)
app.command("doctor", rich_help_panel="Try it")(doctor.doctor)
app.command("train", rich_help_panel="Learn and decide")(train.train)
app.command("score", rich_help_panel="Learn and decide")(score.score)
app.command("evaluate", rich_help_panel="Learn and decide")(evaluate.evaluate)
app.command("threshold", rich_help_panel="Learn and decide")(threshold.threshold)
app.command("export", rich_help_panel="Learn and decide")(export.export)
app.command("clusters", rich_help_panel="Learn and decide")(clusters.clusters)
app.command("synth", rich_help_panel="Learn and decide")(synth.synth)
app.command("defects", rich_help_panel="Ask and improve")(defects.defects)
app.add_typer(curate.app, name="curate", rich_help_panel="Ask and improve")
review_backend.add_to(review.app)
review_inspectors.add_to(review.app)
app.add_typer(review.app, name="review", rich_help_panel="Ask and improve")
challenger.add_to(retrain.app)
schedule.add_to(retrain.app)
app.add_typer(retrain.app, name="retrain", rich_help_panel="Ask and improve")
app.command("drift", rich_help_panel="Ask and improve")(drift.drift)
app.command("explain", rich_help_panel="Ask and improve")(explain.explain)


def main() -> None:
    """Run ``flawsmith``."""
    try:
        app()
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            # What ends with the interpreter, such as threads, is waited for yet.
            once_more_ends_at_once()
        raise
