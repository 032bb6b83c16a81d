"""``flawsmith explain``: why an image was decided as it was, and what was said of it since."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curation.by_hand import GOLD
from integrations.cli.console import print_json
from integrations.cli.options import (
    DEFAULT_LEDGER,
    BundleOption,
    JsonOption,
    LedgerOption,
    existing_ledger,
    known_image,
)
from learning.errors import BundleError

if TYPE_CHECKING:
    from curation.ledger import History, ImageRow, ScoreRow
    from learning.bundle import Bundle
    from learning.neighbors import Neighbor


def explain(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image that was scored.", show_default=False)],
    ledger: LedgerOption = DEFAULT_LEDGER,
    bundle: BundleOption = None,
    neighbors: Annotated[int, typer.Option(help="How many of the most similar good parts to name.", min=0)] = 3,
    as_json: JsonOption = False,
) -> None:
    """Say which model, threshold and promise decided about an image, what it is like, and who said what since.

    The image is recognised by its content: it may have been moved or renamed; one that is gone, by where it was.

    Example: [bold]flawsmith explain line3/today/part_0042.png --ledger line3.db[/bold]
    """
    existing_ledger(ledger)
    from curation.ledger import Ledger

    with Ledger.open(ledger) as opened:
        history = opened.history(known_image(opened, image, ledger))
    scores = sorted(history.scores, key=lambda score: score.recorded_at)
    similar, missing = _similar(image, scores, history, bundle, neighbors)
    if as_json:
        print_json({**asdict(history), "nearest_good": [asdict(one) for one in similar]})
    else:
        _print(history, scores, similar, missing)


def _similar(
    image: Path, scores: "list[ScoreRow]", history: "History", folder: Path | None, count: int
) -> tuple["list[Neighbor]", str]:
    """The most similar good parts by the model that decided last; or why there are none."""
    import numpy as np

    from learning.bundle import Bundle
    from learning.neighbors import nearest_good

    if not scores or not count:
        return [], ""
    if not image.exists():
        return [], "the picture is gone, so that it cannot be compared with good parts"
    known = {model.model_id: model.path for model in history.models}
    folder = folder or known.get(scores[-1].model_id)
    if folder is None:
        return [], "the ledger does not know where the bundle is; say it with --bundle"
    try:
        bundle = Bundle.load(folder)
    except BundleError as error:
        return [], str(error)
    names, embeddings = bundle.embeddings("train")
    held_out = [bundle.embeddings(name)[1] for name in ("selection", "calibration") if bundle.has_embeddings(name)]
    compared = np.concatenate(held_out) if held_out else None
    return nearest_good(_embed(bundle, image), names, embeddings, count, compared), ""


def _embed(bundle: "Bundle", image: Path) -> Any:
    from learning.images.readers import read_image

    return bundle.detector.embed(bundle.preprocessing.apply(read_image(image))[None]).cpu().numpy()[0]


def _likeness(neighbor: "Neighbor") -> str:
    """How like it is, beside how like good parts are to each other: as a cosine, all of one product are near 1."""
    distance = f"distance {max(0.0, 1 - neighbor.similarity):.2g}"
    if neighbor.farther is None:
        return distance
    if neighbor.farther == 0:
        return f"{distance}; no held-out good part lies as far from the one nearest to it"
    return f"{distance}; {100 * neighbor.farther:.0f} % of held-out good parts lie farther from the one nearest to them"


def _print(history: "History", scores: "list[ScoreRow]", similar: "list[Neighbor]", missing: str) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=True, highlight=False)
    about = history.image
    origin = ", ".join(f"{name} {value}" for name in ("lot", "camera", "time") if (value := getattr(about, name)))
    console.print(f"[bold]{about.path}[/]  part {about.part}{', ' + origin if origin else ''}")
    thresholds = {(row.model_id, row.version): row for row in history.thresholds}
    models = {row.model_id: row for row in history.models}
    for score in scores:
        _print_score(console, score, models, thresholds, about)
    if not scores:
        console.print("no model has scored it")
    for one in similar:
        console.print(f"  like good part {one.image} ({_likeness(one)})")
    if missing:
        console.print(f"  [yellow]no similar good parts:[/] {missing}")
    for ask in history.asks:
        chance = f"probability {ask.inclusion_probability:.2g}"
        console.print(f"{ask.created_at:%Y-%m-%d %H:%M} asked: {ask.reason} ({chance}), {ask.state}")
    gold = {ask.ask_id for ask in history.asks if ask.strategy == GOLD}
    for verdict in history.verdicts:
        words = ", ".join(word for word in (verdict.defect_class, verdict.severity) if word)
        kind = f" ({words})" if words else ""
        if verdict.ask_id in gold:
            kind += ", on a gold item: no verdict on the image"
        note = f": {verdict.note}" if verdict.note else ""
        console.print(f"{verdict.at:%Y-%m-%d %H:%M} {verdict.inspector} said [bold]{verdict.verdict}[/]{kind}{note}")
    for word in history.gold_events:
        said = "vouches for it no longer" if word.said == "withdrawn" else f"vouched that it is [bold]{word.said}[/]"
        note = f": {escape(word.note)}" if word.note else ""
        console.print(f"{word.at:%Y-%m-%d %H:%M} {escape(word.who)} {said} (gold item){note}")
    for tag in history.tags:
        console.print(f"{tag.at:%Y-%m-%d %H:%M} {tag.who} tagged it [bold]{escape(tag.tag)}[/]")
    state = history.resolution.state if history.resolution else "nobody has said anything yet"
    console.print(f"inspectors together: [bold]{state}[/]")


def _print_score(
    console: Any, score: "ScoreRow", models: dict[str, Any], thresholds: dict[Any, Any], image: "ImageRow"
) -> None:
    model, threshold = models.get(score.model_id), thresholds.get((score.model_id, score.threshold_version))
    colour = "red" if score.decision == "reject" else "green"
    console.print(f"{score.recorded_at:%Y-%m-%d %H:%M} [{colour}]{score.decision}[/] by {score.model_id}")
    if model is not None:
        console.print(f"  detector {model.detector}, weights {model.weights}, bundle {model.path}")
    value = f" of {threshold.value:.4g}" if threshold is not None else ""
    fallback = "" if score.fallback_score is None else f", fallback {score.fallback_score:.4g}"
    console.print(
        f"  decision score {score.decision_score:.4g} against threshold {score.threshold_version}{value} "
        f"(detector {score.score:.4g}{fallback})"
    )
    if score.percentile is not None:
        console.print(f"  scores higher than {score.percentile:.0f} % of the good parts that calibrated the threshold")
    if threshold is not None:
        console.print(f"  promise: {threshold.about(image)}")
        if threshold.reason:
            console.print(f"  threshold set because: {threshold.reason}")
    if score.map_path is not None:
        console.print(f"  map: {score.map_path}")
