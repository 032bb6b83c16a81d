"""The steps of the loop, each of which can be run again; what they hand on lies in the demo's folder."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from integrations.asking import Asking, top_up_each
from integrations.demo.measure import Station, measure
from integrations.demo.servers import Servers
from integrations.demo.settings import DemoSettings
from integrations.demo.state import DemoState
from integrations.demo.truth import Truth, camera_of
from integrations.demo.waiting import wait_for_answers
from integrations.label_studio.client import url_of
from integrations.label_studio.inspector import answer_tasks
from integrations.label_studio.project import ensure_project
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from integrations.recording import ScoredImage, confirmed_images, record_model, score_images
from learning.bundle import MANIFEST, Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.images.readers import of_camera, read_data
from learning.progress import Progress
from learning.relearn import Costs, relearn
from learning.training import few_steps, train_bundle
from synth.parts import LINE, make_line

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import Ledger

DATASET = "flawsmith-demo"
PROJECT = "flawsmith demo"

FIRST_VERSION = 1
"""Of the bundle's threshold: the one that training set."""

_SHARES: dict[Any, float] = {"train": 0.4, "selection": 0.1, "calibration": 0.5}
"""Many parts calibrate, so that there is a promise worth having and room to move the threshold within it."""


_CLARITY = 1.0
"""As many defects are hardly visible as are clear: of mostly clear ones hardly any escape, and the loop has no work."""

_SIZE = 128
"""Square root of the pixels that a detector sees: in a minute or two, more steps are worth more than more pixels."""


@dataclass
class Demo:
    """All that the steps need.

    Attributes:
        state: How far it has come.
        ledger: The truth about images, asks and verdicts.
        servers: Started when needed.
        inspector: ``scripted`` or ``me``.
        progress: Told how far a step is.
        console: Where people read.
    """

    state: DemoState[DemoSettings]
    ledger: "Ledger"
    servers: Servers
    inspector: str
    progress: Progress
    console: Console

    @property
    def line(self) -> Path:
        """The production line's folder."""
        return self.state.folder / "line"

    @property
    def home(self) -> Path:
        """Folder for maps, embeddings and the servers' data."""
        return self.state.folder / "home"

    def bundle_folder(self, kind: str) -> Path:
        """Where the model of a kind's camera lies, whether or not it does yet."""
        return self.state.folder / "bundles" / kind

    @cached_property
    def bundles(self) -> dict[str, Bundle]:
        """The model of each camera by the kind of part it sees, checked and loaded once."""
        return {kind: Bundle.load(self.bundle_folder(kind)) for kind in LINE}

    @property
    def models(self) -> list[str]:
        """Names of the models in the ledger."""
        return [bundle.fingerprint for bundle in self.bundles.values()]

    @cached_property
    def client(self) -> "LabelStudio":
        """Label Studio, waited for if it still starts."""
        self.progress(0, 1, "waiting for Label Studio")
        return self.servers.label_studio()

    @cached_property
    def project(self) -> int:
        """The project in Label Studio, made if it is missing."""
        return ensure_project(self.client, PROJECT)


def make_parts(demo: Demo) -> dict[str, Any]:
    """Make the production line."""
    settings = demo.state.settings
    make_line(
        demo.line,
        kinds=LINE,
        good=settings.good,
        stream=settings.stream,
        defect_rate=settings.defect_rate,
        clarity=_CLARITY,
        seed=settings.seed,
        size=settings.size,
        progress=demo.progress,
    )
    _write_cameras(demo.line)
    return {}


def _write_cameras(line: Path) -> None:
    """Write ``train.csv``, which says of each good part which camera saw it, as ``images.csv`` does of a stream."""
    with (line / "train.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("image", "label", "part", "camera"))
        for image in sorted((line / "train" / "good").iterdir()):
            kind = image.stem.rsplit("_", 1)[0]
            table.writerow((image.relative_to(line).as_posix(), "good", image.stem, camera_of(kind)))


def train(demo: Demo) -> dict[str, Any]:
    """Train a model for each camera, from good parts alone; a bundle that is whole is not trained again."""
    settings = demo.state.settings
    share = Budget(steps=settings.steps) if settings.steps else Budget(minutes=settings.minutes / len(LINE))
    for kind in LINE:
        if (demo.bundle_folder(kind) / MANIFEST).is_file():
            continue
        made = train_bundle(
            demo.line / "train.csv",
            demo.bundle_folder(kind),
            config=TrainConfig(shares=_SHARES, size=_SIZE),
            budget=share,
            seed=settings.seed,
            camera=camera_of(kind),
            progress=_named(demo.progress, kind),
        )
        if not settings.steps and (few := few_steps(made.manifest)):
            text = f"[yellow]{kind}: {few}[/]; what follows says little: run it again with nothing beside it"
            demo.console.print(text, highlight=False, soft_wrap=True)
    return {kind: bundle.thresholds.get(FIRST_VERSION).promise.text for kind, bundle in demo.bundles.items()}


def score(demo: Demo) -> dict[str, Any]:
    """Score the first stream into the ledger."""
    scored = [image for images in _score_stream(demo, "stream_1").values() for image in images]
    return {"images": len(scored), "rejected": sum(image.decision == "reject" for image in scored)}


def _score_stream(demo: Demo, name: str) -> dict[str, list[ScoredImage]]:
    """Score a stream, each camera's pictures by its own model."""
    records = read_data(demo.line / name / "images.csv")
    return {
        kind: score_images(
            bundle,
            of_camera(records, camera_of(kind)),
            ledger=demo.ledger,
            home=demo.home,
            batch=name,
            progress=_named(demo.progress, kind),
        ).scored
        for kind, bundle in demo.bundles.items()
    }


def _named(progress: Progress, kind: str) -> Progress:
    """Progress that says which camera it is about."""

    def tell(done: float, total: float, text: str) -> None:
        progress(done, total, f"{kind}: {text}")

    return tell


def show(demo: Demo) -> dict[str, Any]:
    """Bring the ledger into FiftyOne, with anomaly maps and an index of similar parts."""
    from curation.dataset import index_similarity, sync

    demo.progress(0, 1, "starting FiftyOne")
    demo.servers.start_fiftyone()
    report = sync(demo.ledger, DATASET, progress=demo.progress)
    index_similarity(demo.ledger, DATASET, demo.models, demo.progress)
    return {"added": report.added, "updated": report.updated}


def ask(demo: Demo) -> dict[str, Any]:
    """Draw the questions, and write them down before anything is sent."""
    settings = demo.state.settings
    # Killed between two cameras, those that were asked about have their share open and get no more.
    if len(demo.ledger.asks()) < settings.answers:
        asking = Asking(settings.answers, settings.seed, "stream_1")
        top_up_each(demo.ledger, list(demo.bundles.values()), asking)
    reasons = [question.reason for question in demo.ledger.asks()]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def send(demo: Demo) -> dict[str, Any]:
    """Send the questions to Label Studio, with anomaly maps and proposed regions."""
    report = push(demo.ledger, demo.client, demo.project, demo.servers.pictures, demo.progress)
    return {"pushed": report.pushed, "adopted": report.adopted}


def answer(demo: Demo) -> dict[str, Any]:
    """Let the scripted inspector answer, or wait for the person."""
    if demo.inspector == "scripted":
        truth = Truth.read(demo.line / "stream_1").answers()
        return {"answered": answer_tasks(demo.client, demo.project, truth, demo.progress).answered}
    demo.progress(0, 1, "opening the FiftyOne App")
    app = demo.servers.open_app(DATASET)
    where = f"{url_of(demo.client)}/projects/{demo.project}/data?labeling=1"
    demo.console.print(
        f"\nSee the parts and their anomaly maps in FiftyOne:  [bold]{app}[/]\n"
        f"Answer in Label Studio:  [bold]{where}[/]\n  log in {demo.servers.log_in()}; keys 1 good, 2 defect, "
        "3 unsure; Ctrl+Enter submits\n",
        highlight=False,
        soft_wrap=True,
    )
    answered = wait_for_answers(
        lambda: pull(demo.ledger, demo.client, demo.project, demo.home / "masks"),
        lambda: [question.state for question in demo.ledger.asks()],
        demo.progress,
        demo.console,
    )
    return {"answered": answered}


def fetch(demo: Demo) -> dict[str, Any]:
    """Fetch the verdicts."""
    pull(demo.ledger, demo.client, demo.project, demo.home / "masks", demo.progress)
    states = [resolution.state for resolution in demo.ledger.resolved()]
    return {state: states.count(state) for state in sorted(set(states))}


def learn(demo: Demo) -> dict[str, Any]:
    """Move the thresholds and train the first fallbacks."""
    settings = demo.state.settings
    costs = Costs(escape=settings.cost_escape)
    reports = {}
    for kind, bundle in demo.bundles.items():
        confirmed, unresolved = confirmed_images(demo.ledger, bundle.fingerprint)
        # Killed after the threshold was stored: start from the first one again, as if this had not been.
        bundle.thresholds.use(FIRST_VERSION)
        progress = _named(demo.progress, kind)
        learned = relearn(bundle, confirmed, costs, settings.seed, progress, settings.max_false_reject)
        record_model(demo.ledger, bundle)
        reports[kind] = {"unresolved": unresolved, "confirmed": len(confirmed), **learned.report}
    return reports


def compare(demo: Demo) -> dict[str, Any]:
    """Score the second stream and compare the thresholds on it."""
    scored = _score_stream(demo, "stream_2")
    measurement = measure(
        {
            kind: Station.of(bundle.thresholds.get(FIRST_VERSION), bundle.thresholds.current(), bundle.calibration)
            for kind, bundle in demo.bundles.items()
        },
        scored,
        Truth.read(demo.line / "stream_2"),
        answers=sum(question.state == "answered" for question in demo.ledger.asks()),
        seed=demo.state.settings.seed,
    )
    return {"measurement": measurement.model_dump(mode="json")}


STEPS: dict[str, tuple[str, Callable[[Demo], dict[str, Any]]]] = {
    "parts": ("make a production line", make_parts),
    "train": ("train a model for each camera from good parts alone", train),
    "score": ("score the first stream into the ledger", score),
    "show": ("bring it into FiftyOne, with maps and similarity", show),
    "ask": ("draw the questions", ask),
    "send": ("send them to Label Studio", send),
    "answer": ("the inspector answers", answer),
    "fetch": ("fetch the verdicts", fetch),
    "learn": ("move the thresholds, train fallbacks", learn),
    "compare": ("score the second stream, before and after", compare),
    "show_verdicts": ("bring verdicts and new decisions into FiftyOne", show),
}
"""Name, what it does in words, and the function, in order."""

WITH_LABEL_STUDIO = ("send", "answer", "fetch")
