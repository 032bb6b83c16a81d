"""What the demo's report says beside the figures."""

import os
import platform

from integrations.demo.steps import STEPS, Demo
from integrations.report import Answered, Measurement, Report
from learning.card import VIEWS
from learning.manifest import Manifest


def report_of(demo: Demo) -> Report:
    """Put the report together from the state, the ledger and the bundles."""
    learned = demo.state.result("learn")
    return Report(
        title="Good parts in, verdicts back, a better threshold out",
        measurement=Measurement.model_validate(demo.state.result("compare")["measurement"]),
        answers=_answers(demo),
        steps=[(title, demo.state.steps[name].seconds) for name, (title, _) in STEPS.items() if demo.state.done(name)],
        facts=_facts(demo),
        weighed={key: value for key, value in learned.items() if key != "text"},
    )


def _answers(demo: Demo) -> list[Answered]:
    images = {image.image_id: image for image in demo.ledger.images()}
    asks = {ask.ask_id: ask for ask in demo.ledger.asks()}
    scores = {score.image_id: score for score in demo.ledger.scores(batch="stream_1")}
    log = []
    for resolution in demo.ledger.resolved():
        for verdict in resolution.verdicts:
            ask = asks.get(verdict.ask_id or "")
            if ask is None:
                continue
            image = images[verdict.image_id]
            log.append(
                Answered(
                    at=f"{verdict.at:%Y-%m-%d %H:%M:%S}",
                    inspector=verdict.inspector,
                    part=image.part,
                    image=image.path,
                    reason=ask.reason,
                    probability=ask.inclusion_probability,
                    score=scores[verdict.image_id].score,
                    threshold_version=ask.threshold_version,
                    verdict=verdict.verdict,
                    defect_class=verdict.defect_class,
                    painted=verdict.regions_mask is not None,
                )
            )
    return sorted(log, key=lambda answered: (answered.at, answered.part))


def _model(manifest: Manifest) -> str:
    shape = manifest.preprocessing
    return (
        f"{manifest.fingerprint()}: {manifest.steps} steps in {manifest.seconds:.0f} s on {manifest.device}, weights "
        f"{manifest.weights}; it sees {VIEWS[shape.view]}, {shape.width} × {shape.height}"
    )


def _facts(demo: Demo) -> list[tuple[str, str]]:
    settings = demo.state.settings
    manifests = {kind: bundle.manifest for kind, bundle in demo.bundles.items()}
    images = next(iter(manifests.values())).images
    return [
        ("Parts", "made up by flawsmith: tiles, fasteners that lie at any angle, printed labels"),
        ("Seed", str(settings.seed)),
        (
            "Good parts",
            f"for each camera "
            f"{images['train']} to learn from, {images['selection']} to select, {images['calibration']} to calibrate",
        ),
        ("Streams", f"two of {settings.stream} parts, {100 * settings.defect_rate:.0f} % of them defective"),
        ("Defects", "rendered by code that no detector trains on"),
        *((f"Model of the {kind} camera", _model(manifest)) for kind, manifest in manifests.items()),
        ("Machine", f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"),
    ]
