"""Scoring with a record: what a bundle says of images goes into the ledger, maps and embeddings into files."""

import hashlib
import io
import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from integrations.deciding import from_where_the_ledger_says
from learning.bundle import Bundle
from learning.calibration import calibration_decisions
from learning.errors import DataError
from learning.images.records import ImageRecord
from learning.progress import Progress, silent
from learning.relearn import Confirmed
from learning.scoring import ImageScore, ScoreFailure, save_map, score_records
from learning.thresholds import Threshold
from learning.whole import whole

if TYPE_CHECKING:
    from curation.ledger import Ledger

Decision = Literal["accept", "reject"]

_CHUNK = 200
"""Images between two writes to the ledger: what an interruption loses is scored again."""


@dataclass(frozen=True)
class ScoredImage:
    """What is said of an image.

    Attributes:
        image: The file.
        part: What the decision is about.
        group: What is independent.
        score: Of the detector.
        fallback_score: Of the supervised fallback, or None where it is off.
        decision_score: What is compared with the threshold; see ``learning.scoring.ImageScore``.
        percentile: 0..100: share of the good calibration images that score lower.
        decision: About the whole part.
        threshold_version: Which threshold decided.
        map: Picture of the anomaly map, or None.
        part_found: False where the model cuts the part out, found none and scored the picture whole; None where the
            ledger had the score, which does not know.
        review: True where the threshold leaves the part, which it took off the line, to a person.
    """

    image: Path
    part: str
    group: str
    score: float
    fallback_score: float | None
    decision_score: float
    percentile: float
    decision: Decision
    threshold_version: int
    map: Path | None
    part_found: bool | None = None
    review: bool = False


@dataclass
class ScoringResult:
    """What scoring gave.

    Attributes:
        threshold: The one that decided.
        scored: In the order of the records.
        failures: Images that could not be read.
        shared: Where the threshold has values by camera or lot, how many images have none of their own.
    """

    threshold: Threshold
    scored: list[ScoredImage] = field(default_factory=list)
    failures: list[ScoreFailure] = field(default_factory=list)
    shared: int = 0


def score_images(
    bundle: Bundle,
    records: Sequence[ImageRecord],
    *,
    maps: Mapping[Path, Path] | None = None,
    ledger: "Ledger | None" = None,
    home: Path = Path("runs/home"),
    batch: str = "",
    progress: Progress = silent,
) -> ScoringResult:
    """Score images, decide about their parts, and record both where a ledger is given.

    Killed at any moment and run again with a ledger, images that it has under this model and threshold are not
    scored a second time; but those are whose map or embedding was lost since, to have it again.

    Args:
        bundle: The model; of its thresholds the one decides that is current now, whatever is made current meanwhile.
        records: The images.
        maps: Where the anomaly map of each image is written. With a ledger every image gets one, by default below
            ``home``.
        ledger: Where scores, decisions and embeddings are recorded.
        home: Folder for maps and embeddings that the ledger names.
        batch: Name of these images in the ledger.
        progress: Told the number of images.

    Returns:
        What was said of each image, and those that could not be read.

    Raises:
        DataError: If the threshold has values by camera or lot, and the ledger has another one of an image.
    """
    threshold = bundle.thresholds.current()
    good = sorted(calibration_decisions(bundle, threshold)["decision_score"])
    result = ScoringResult(threshold)
    recorder = _Recorder(ledger, bundle, threshold, home, batch) if ledger is not None else None
    if ledger is not None and threshold.origins is not None:
        records = from_where_the_ledger_says(ledger, records, bundle.fingerprint, threshold.version, threshold.origins)
    known = recorder.known(records) if recorder else {}
    result.scored.extend(known.values())
    # Images of a part one after the other, so that no write to the ledger tears a part apart.
    todo = sorted((record for record in records if record.path not in known), key=lambda record: record.part)
    for outcome in score_records(bundle, todo, progress=progress, threshold=threshold):
        if isinstance(outcome, ScoreFailure):
            result.failures.append(outcome)
            continue
        target = _map_target(outcome.record.path, maps, recorder)
        lost = recorder.lost.get(outcome.record.path) if recorder else None
        for place in {place for place in (target, lost) if place is not None}:
            save_map(outcome.map, place, bundle.map_range)
        image = ScoredImage(
            image=outcome.record.path,
            part=outcome.record.part,
            group=outcome.record.group,
            score=outcome.score,
            fallback_score=outcome.fallback_score,
            decision_score=outcome.decision_score,
            percentile=100 * bisect_left(good, outcome.decision_score) / len(good),
            decision="reject" if outcome.decision_score > threshold.value else "accept",
            threshold_version=threshold.version,
            map=target,
            part_found=outcome.part_found,
            review=threshold.needs_review(outcome.decision_score),
        )
        result.scored.append(image)
        if recorder:
            recorder.add(outcome, image)
    if recorder:
        recorder.flush()
    if threshold.origins is not None:
        result.shared = sum(threshold.origins.of(record) is None for record in records)
    order = {record.path: place for place, record in enumerate(records)}
    result.scored = sorted(_decide_by_part(result.scored), key=lambda image: order[image.image])
    if recorder:
        recorder.settle(known, result.scored)
    return result


def record_model(ledger: "Ledger", bundle: Bundle) -> None:
    """Write down a model and all versions of its threshold. Repeatable."""
    from curation.ledger import ModelEntry

    manifest = bundle.manifest
    ledger.record_model(
        ModelEntry(
            model_id=bundle.fingerprint,
            path=bundle.folder.resolve(),
            detector=manifest.detector,
            weights=manifest.weights,
            trained_at=manifest.created,
        )
    )
    for threshold in bundle.thresholds.all():
        ledger.record_threshold(
            bundle.fingerprint,
            threshold.version,
            threshold.value,
            threshold.promise.text,
            threshold.parent,
            threshold.reason,
            threshold.origins,
        )


def load_bundle(ledger: "Ledger", folder: Path | None = None) -> Bundle:
    """Load a bundle by its folder, or the champion, or where there is none the one that the ledger saw last.

    Raises:
        DataError: If no folder is given and the ledger knows no model.
        BundleError: If the bundle is damaged.
    """
    if folder is None:
        champions = _champions(ledger)
        model_id = next(iter(champions.values())) if len(champions) == 1 else champions.get("", last_model(ledger))
        folder = next((model.path for model in ledger.models() if model.model_id == model_id), None)
        if folder is None:
            msg = "the ledger does not know where the bundle is: score images first, or say it with --bundle"
            raise DataError(msg)
    return Bundle.load(folder)


def load_bundles(ledger: "Ledger", folder: Path | None = None) -> list[Bundle]:
    """Load the bundle in a folder; or, where none is given, those of ``models_in_use``.

    Raises:
        DataError: If no folder is given and the ledger does not know where they are.
        BundleError: If a bundle is damaged.
    """
    models = models_in_use(ledger)
    if folder is not None or len(models) < 2:
        return [load_bundle(ledger, folder)]
    paths = {model.model_id: model.path for model in ledger.models()}
    lost = [model for model in models if paths.get(model) is None]
    if lost:
        msg = f"the ledger does not know where the bundle of model {lost[0]} is: say it with --bundle"
        raise DataError(msg)
    return [Bundle.load(Path(str(paths[model]))) for model in models]


def models_in_use(ledger: "Ledger") -> list[str]:
    """The champion of each camera, or where none was appointed the model that scored last there; sorted by camera."""
    chosen = models_by_camera(ledger)
    return list(dict.fromkeys(chosen[camera] for camera in sorted(chosen)))


def models_by_camera(ledger: "Ledger") -> dict[str, str]:
    """Which model is in use at each camera; an image of no camera is of the camera without a name."""
    champions = _champions(ledger)
    cameras = {image.image_id: image.camera or "" for image in ledger.images()}
    last = {cameras[score.image_id]: score.model_id for score in ledger.scores()}
    # One that is for all cameras takes the place of what scored last at each.
    chosen = {camera: champions.get(camera, champions.get("", model)) for camera, model in last.items()} | champions
    if "" in champions and "" not in last and last:
        del chosen[""]
    return chosen


def _champions(ledger: "Ledger") -> dict[str, str]:
    """The champion of each camera that has one."""
    return {row.camera: row.model_id for row in ledger.champions()}


def last_model(ledger: "Ledger") -> str | None:
    """The model that scored last, or None where nothing was scored."""
    scores = ledger.scores()
    return scores[-1].model_id if scores else None


def confirmed_images(ledger: "Ledger", model_id: str, taught: Collection[str] = ()) -> tuple[list[Confirmed], int]:
    """Images of a model's cameras about which inspectors agree, and the number of those about which they do not.

    A model that has scored nothing yet, as it is new, is taken to be for all cameras. What is held back for judging
    challengers is left out: nothing may learn from it.

    Args:
        ledger: With verdicts.
        model_id: The model.
        taught: Groups that trained it: they tell nothing of its threshold, and are left out.
    """
    from curation.frozen import held_back_groups

    held = held_back_groups(ledger) | set(taught)
    images = {image.image_id: image for image in ledger.images()}
    cameras = {images[score.image_id].camera for score in ledger.scores(model_id=model_id)}
    resolved = [
        one
        for one in ledger.resolved()
        if images[one.image_id].group not in held and (not cameras or images[one.image_id].camera in cameras)
    ]
    confirmed = [
        Confirmed(
            path=Path(images[one.image_id].path),
            part=images[one.image_id].part,
            group=images[one.image_id].group,
            defective=one.state == "defect",
            weight=1 / (one.inclusion_probability or 1),
            mask=Path(one.mask_path) if one.mask_path else None,
        )
        for one in resolved
        if one.state != "unresolved"
    ]
    return confirmed, len(resolved) - len(confirmed)


class _Recorder:
    """Collects what is said of images and writes it to the ledger now and then."""

    def __init__(self, ledger: "Ledger", bundle: Bundle, threshold: Threshold, home: Path, batch: str) -> None:
        from curation.looks import LooksAhead, reference_looks

        self.ledger = ledger
        self.bundle = bundle
        self.threshold = threshold
        self.batch = batch
        self.folder = home.absolute()
        self.waiting: list[tuple[ImageScore, ScoredImage]] = []
        self.looks = LooksAhead()
        self.lost: dict[Path, Path] = {}
        """Where the ledger has a map of an image that is gone."""
        record_model(ledger, bundle)
        reference_looks(ledger, bundle)

    def map_path(self, image: Path) -> Path:
        from curation.ledger import image_id_of

        return self.folder / "maps" / self.bundle.fingerprint / f"{image_id_of(image)}.png"

    def known(self, records: Iterable[ImageRecord]) -> dict[Path, ScoredImage]:
        """What the ledger has of these images under this model and threshold, if map and embedding are there too."""
        from curation.ledger import image_id_of

        rows = {
            row.image_id: row
            for row in self.ledger.scores(model_id=self.bundle.fingerprint)
            if row.threshold_version == self.threshold.version
        }
        whole = self.ledger.keep_whole_embeddings(self.bundle.fingerprint) if rows else set()
        found = {}
        for record in records if rows else ():
            row = rows.get(image_id_of(record.path)) if record.path.is_file() else None
            if row is not None and row.map_path and not Path(row.map_path).is_file():
                self.lost[record.path] = Path(row.map_path)
            elif row is not None and row.image_id in whole:
                found[record.path] = ScoredImage(
                    image=record.path,
                    part=record.part,
                    group=record.group,
                    score=row.score,
                    fallback_score=row.fallback_score,
                    decision_score=row.decision_score,
                    percentile=row.percentile if row.percentile is not None else math.nan,
                    decision=row.decision,
                    threshold_version=row.threshold_version,
                    map=Path(row.map_path) if row.map_path else None,
                    review=self.threshold.needs_review(row.decision_score),
                )
        return found

    def settle(self, known: Mapping[Path, ScoredImage], scored: Iterable[ScoredImage]) -> None:
        """Bring decisions up to date that were recorded before another image of the part was rejected."""
        from curation.ledger import image_id_of

        before = {path for path, image in known.items() if image.decision == "accept"}
        changed = [image.image for image in scored if image.image in before and image.decision == "reject"]
        version = self.threshold.version
        self.ledger.reject_with_part(self.bundle.fingerprint, version, [image_id_of(path) for path in changed])

    def add(self, outcome: ImageScore, image: ScoredImage) -> None:
        if len(self.waiting) >= _CHUNK and self.waiting[-1][1].part != image.part:
            self.flush()
        self.waiting.append((replace(outcome, map=np.empty((0, 0), np.float32)), image))
        self.looks.begin(outcome.record.path)

    def flush(self) -> None:
        from curation.ledger import ImageEntry, ScoreEntry

        if not self.waiting:
            return
        records = [outcome.record for outcome, _ in self.waiting]
        ids = self.ledger.add_images(
            [
                ImageEntry(path=r.path.absolute(), part=r.part, group=r.group, lot=r.lot, camera=r.camera, time=r.time)
                for r in records
            ]
        )
        self.ledger.record_looks(self.looks.take(ids))
        model = self.bundle.fingerprint
        embeddings = np.stack([outcome.embedding for outcome, _ in self.waiting]).astype(np.float32)
        # Named by what it holds, so that writing the same images again gives the same file.
        name = hashlib.sha256("".join(ids).encode()).hexdigest()[:16]
        file = self.folder / "embeddings" / model / f"{name}.npy"
        content = io.BytesIO()
        np.save(content, embeddings)
        with whole(file) as fresh:
            # NumPy's own way into a file does not say why a disk took only some of it.
            fresh.write_bytes(content.getvalue())
        self.ledger.record_embeddings(model, file, ids)
        self.ledger.record_scores(
            [
                ScoreEntry(
                    image_id=key,
                    model_id=model,
                    threshold_version=image.threshold_version,
                    score=image.score,
                    decision_score=image.decision_score,
                    fallback_score=image.fallback_score,
                    percentile=image.percentile,
                    decision=image.decision,
                    map_path=image.map,
                    batch=self.batch,
                )
                for key, image in zip(ids, _decide_by_part(image for _, image in self.waiting), strict=True)
            ]
        )
        self.waiting.clear()


def _map_target(image: Path, maps: Mapping[Path, Path] | None, recorder: _Recorder | None) -> Path | None:
    if maps is not None:
        return maps[image]
    return recorder.map_path(image) if recorder else None


def _decide_by_part(images: Iterable[ScoredImage]) -> list[ScoredImage]:
    """Give all images of a part the decision of the one that scores highest."""
    images = list(images)
    rejected = {image.part for image in images if image.decision == "reject"}
    # One image beyond doubt settles the part.
    beyond_doubt = {image.part for image in images if image.decision == "reject" and not image.review}
    review = {image.part for image in images if image.review} - beyond_doubt
    return [
        replace(image, decision="reject" if image.part in rejected else "accept", review=image.part in review)
        for image in images
    ]
