"""``flawsmith threshold``: move the threshold to another promise, without touching the model."""

from typing import Annotated

import typer

from integrations.cli.console import print_json, say
from integrations.cli.options import BundleArgument, JsonOption, existing_bundle


def threshold(
    bundle: BundleArgument,
    max_false_reject: Annotated[
        float,
        typer.Option(help="At most this share of good parts is rejected, e.g. 0.01 for 1 %.", show_default=False),
    ],
    confidence: Annotated[float, typer.Option(help="How sure the promise is.")] = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Set the threshold so that it keeps a promise about good parts. The model is not touched.

    The parts that were held back for calibration decide. Where they are too few to carry the promise it is refused,
    with the number of parts that it takes: 1 % with 95 % confidence takes 299 independent ones.

    Example: [bold]flawsmith threshold runs/bracket --max-false-reject 0.01[/bold]
    """
    existing_bundle(bundle)
    from learning.bundle import Bundle, by_group
    from learning.calibration import calibration_decisions
    from learning.thresholds import Threshold, conformal_threshold

    loaded = Bundle.load(bundle)
    current = loaded.thresholds.current()
    groups = by_group(calibration_decisions(loaded, current), "decision_score")
    value, promise = conformal_threshold(groups, max_false_reject, confidence)
    version = loaded.thresholds.add(
        Threshold(value=value, promise=promise, fallback=current.fallback, reason="set on the command line")
    )
    if as_json:
        print_json(loaded.thresholds.get(version).model_dump(mode="json"))
    else:
        say(f"threshold {version}: {value:.4g} (before: {current.value:.4g}), {promise.text}")
        if promise.limit > current.promise.limit:
            say(f"this is a looser promise than before: {current.promise.text}")
