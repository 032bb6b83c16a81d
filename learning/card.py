"""The model card of a bundle."""

from pathlib import Path

from learning.auto.record import Choice
from learning.cleaning import Cleaned
from learning.export.record import Exported
from learning.manifest import Manifest
from learning.thresholds import Promise

_WEIGHTS = {
    "scratch": "none: trained from random initialisation on this data alone",
    "random": "none: a backbone of random weights, which nothing has trained",
    "pretrained": "pretrained, downloaded by timm",
    "file": "pretrained, from a file",
    "model": "those of another model",
}

_PRECISIONS = {"bf16-mixed": "products in bfloat16", "32-true": "all in float32"}

VIEWS = {"whole": "the whole picture", "part": "the part, cut out of its picture"}
"""What a detector sees of a picture, by ``Preprocessing.view``."""


def model_card(manifest: Manifest, promise: Promise, value: float) -> str:
    """Describe a model in Markdown, after Mitchell et al., "Model Cards for Model Reporting", 2019.

    Args:
        manifest: Of the bundle.
        promise: Of its first threshold.
        value: Of its first threshold.
    """
    backbone = f"{manifest.backbone} (SHA-256 {manifest.backbone_sha256 or 'none'})" if manifest.backbone else "none"
    shape = manifest.preprocessing
    rows = {
        "Model": f"`{manifest.fingerprint()}`",
        "Detector": manifest.detector,
        "Weights to start from": _WEIGHTS.get(manifest.weights, manifest.weights)
        + (f", `{manifest.started.model}`" if manifest.started else ""),
        "Backbone": backbone,
        "Images": f"{shape.channels} × {shape.height} × {shape.width}, {shape.depth} bit",
        "View": VIEWS[shape.view] + (", turned by its main axis" if shape.part and shape.part.turn else ""),
        "Training": f"{manifest.steps} steps in {manifest.seconds:.0f} s, seed {manifest.seed}, on {manifest.device}"
        + (f", {_PRECISIONS[manifest.precision]}" if manifest.precision else ""),
        "Machine": f"{manifest.machine.cpu}, {manifest.machine.threads} threads, torch {manifest.machine.torch}",
        "Data": f"`{manifest.data_fingerprint[:16]}`",
        **({"Training set": f"`{manifest.training_set.name}`"} if manifest.training_set else {}),
        "Made": manifest.created,
        **({"Exported": manifest.export.text()} if manifest.export else {}),
        **{f"Chosen {name}": choice for name, choice in manifest.choices.items()},
    }
    sets = [
        f"| {name} | {count} | {manifest.groups.get(name, '–')} |" for name, count in sorted(manifest.images.items())
    ]
    figures = [f"- {name}: {figure:.4g}" for name, figure in manifest.selection.items()]
    lines = [
        f"# Model card: {manifest.fingerprint()}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in rows.items()),
        "",
        "## Intended use",
        "",
        "Finding parts that look unlike the good ones it was trained on, in pictures from the same camera, lens and "
        "light. It is not made for other products, and a change of the set-up calls for a new training.",
        "",
        "## First threshold",
        "",
        f"A part is rejected when its score is above {value:.6g}: {promise.text}. Later versions are in `thresholds/`.",
        "The promise is about parts like the calibration parts. It says nothing of how many defects are found.",
        "",
        "## Data",
        "",
        "Only good parts were read. Groups are whole: none lies in two of these sets."
        if not manifest.defects.used
        else "Good parts were read, and confirmed defects to make flaws from (below). Groups are whole: none lies in "
        "two of these sets.",
        "",
        "| Set | Images kept | Independent groups |",
        "|---|---|---|",
        *sets,
        *(["", "## On held-out good parts and synthetic flaws", "", *figures] if figures else []),
        *(_chosen(manifest.auto) if manifest.auto else []),
        *(_left_out(manifest.cleaned) if manifest.cleaned else []),
        *_confirmed(manifest),
        *(_exported(manifest.export) if manifest.export else []),
        "",
        "## Limits",
        "",
        ("Only confirmed defects were" if manifest.defects.used else "No defect was")
        + " seen in training; kinds that resemble no synthetic flaw may escape. Measure with "
        "`flawsmith evaluate` on parts that an inspector has decided on before relying on it.",
        "",
    ]
    return "\n".join(lines)


def _chosen(choice: Choice) -> list[str]:
    """How the detector was chosen among candidates."""
    lines = ["", "## How the detector was chosen", "", f"`{choice.detector}`: {choice.reason}."]
    if choice.candidates:
        lines += [
            "",
            f"By {choice.metric}: {', '.join(choice.left_out)}. No candidate was trained on these families, nor on the "
            f"{choice.judged_groups} groups of good parts that judged ({choice.flaws} flawed images); each was trained "
            f"on {choice.trained_groups} groups. In the end `{choice.detector}` was trained anew on all, with "
            "all families.",
            "",
            *choice.table(),
        ]
    lines += [f"- `{name}` was not tried: it {why}" for name, why in choice.passed_over.items()]
    return lines


def _left_out(cleaned: Cleaned) -> list[str]:
    """Pictures that trained nothing as they do not look good."""
    lines = [f"- {one.image}: score {one.score:.4g}, usual is up to {one.limit:.4g}" for one in cleaned.suspects]
    return ["", "## Hidden defects", "", f"{cleaned.text()}.".capitalize(), *([""] if lines else []), *lines]


def _confirmed(manifest: Manifest) -> list[str]:
    """Which confirmed defects were a source of flaws, and which must not be."""
    defects = manifest.defects
    if not (defects.used or defects.left_out or defects.shown):
        return []
    lines = [f"- {name}: {provenance or 'of unknown origin'}" for name, provenance in sorted(defects.used.items())]
    if defects.shown:
        lines += [
            "",
            f"{defects.shown} pictures of confirmed defects were shown as they are, with masks where there were any.",
        ]
    if defects.left_out:
        lines += [
            "",
            "Left out, as they come from parts that select, calibrate or test, or a network made them after such: "
            f"{', '.join(sorted(defects.left_out))}.",
        ]
    return ["", f"## Confirmed defects that flaws were made from: {len(defects.used)}", "", *lines]


def _exported(export: Exported) -> list[str]:
    """How an exported model compares with its bundle, and how to run it without flawsmith."""
    parity = export.parity
    ranges = f", ranges from {export.calibrated_on} good training parts and as many with flaws" * bool(
        export.calibrated_on
    )
    lines = [
        f"- {export.text()}, from `{export.source}`{ranges}",
        f"- on {parity.good} held-out good parts and {parity.flawed} with made-up flaws, scores differ from the "
        f"bundle's by at most {parity.largest_score_difference:.2g} ({parity.mean_score_difference:.2g} on average), "
        f"maps by at most {parity.largest_map_difference:.2g}",
        *(
            [f"- AUROC between the two: {parity.auroc:.4f} by the bundle, {parity.exported_auroc:.4f} exported"]
            if parity.auroc is not None and parity.exported_auroc is not None
            else []
        ),
        "- thresholds are those of the bundle"
        if export.threshold == "kept"
        else "- scores differ from the bundle's: the calibration parts were scored again, and the promise made anew",
        "",
        "The graph takes `images`, preprocessed as above, `[1, C, h, w]` float32 in 0..1, and gives `scores` `[1]`, "
        "`maps` `[1, h, w]` and `embeddings` `[1, D]`. The threshold is not in it.",
    ]
    return ["", "## Exported", "", *lines]


def write_card(file: Path, manifest: Manifest, promise: Promise, value: float) -> None:
    """Write ``model_card`` to a file."""
    file.write_text(model_card(manifest, promise, value), encoding="utf-8")
