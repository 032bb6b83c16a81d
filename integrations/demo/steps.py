"""The steps of the loop, each of which can be run again; what they hand on lies in the demo's folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from integrations.asking import top_up_asks
from integrations.demo.measure import measure
from integrations.demo.servers import Servers
from integrations.demo.state import DemoState
from integrations.demo.truth import Truth
from integrations.demo.waiting import wait_for_answers
from integrations.label_studio.client import url_of
from integrations.label_studio.inspector import answer_tasks
from integrations.label_studio.project import ensure_project
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from integrations.recording import confirmed_images, record_model, score_images
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.images.readers import read_data
from learning.progress import Progress
from learning.relearn import Costs, relearn
from learning.training import train_bundle
from synth.parts import make_line

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import Ledger

DATASET = "flawsmith-demo"
PROJECT = "flawsmith demo"
FIRST_VERSION = 1
"""Of the bundle's threshold: the one that training set."""

_SHARES: dict[Any, float] = {"train": 0.5, "selection": 0.1, "calibration": 0.4}
"""Many parts calibrate, so that there is a promise worth having and room to move the threshold within it."""


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
        bundle_cache: The model, once it is loaded.
    """

    state: DemoState
    ledger: "Ledger"
    servers: Servers
    inspector: str
    progress: Progress
    console: Console
    bundle_cache: list[Bundle] = field(default_factory=list)

    @property
    def line(self) -> Path:
        """The production line's folder."""
        return self.state.folder / "line"

    @property
    def home(self) -> Path:
        """Folder for maps, embeddings and the servers' data."""
        return self.state.folder / "home"

    @property
    def bundle(self) -> Bundle:
        """The model, checked and loaded once."""
        if not self.bundle_cache:
            self.bundle_cache.append(Bundle.load(self.state.folder / "bundle"))
        return self.bundle_cache[0]

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
        good=settings.good,
        stream=settings.stream,
        defect_rate=settings.defect_rate,
        seed=settings.seed,
        size=settings.size,
        progress=demo.progress,
    )
    return {}


def train(demo: Demo) -> dict[str, Any]:
    """Train from good parts alone."""
    settings = demo.state.settings
    budget = Budget(steps=settings.steps) if settings.steps else Budget(minutes=settings.minutes)
    bundle = train_bundle(
        demo.line,
        demo.state.folder / "bundle",
        config=TrainConfig(shares=_SHARES),
        budget=budget,
        seed=settings.seed,
        progress=demo.progress,
    )
    return {"steps": bundle.manifest.steps, "promise": bundle.thresholds.get(FIRST_VERSION).promise.text}


def score(demo: Demo) -> dict[str, Any]:
    """Score the first stream into the ledger."""
    records = read_data(demo.line / "stream_1" / "images.csv")
    result = score_images(
        demo.bundle, records, ledger=demo.ledger, home=demo.home, batch="stream_1", progress=demo.progress
    )
    return {"images": len(result.scored), "rejected": sum(image.decision == "reject" for image in result.scored)}


def show(demo: Demo) -> dict[str, Any]:
    """Bring the ledger into FiftyOne, with anomaly maps and an index of similar parts."""
    from curation.dataset import index_similarity, sync

    demo.progress(0, 1, "starting FiftyOne")
    demo.servers.start_fiftyone()
    report = sync(demo.ledger, DATASET, demo.bundle.fingerprint, demo.progress)
    index_similarity(demo.ledger, DATASET, demo.bundle.fingerprint, demo.progress)
    return {"added": report.added, "updated": report.updated}


def ask(demo: Demo) -> dict[str, Any]:
    """Draw the questions, and write them down before anything is sent."""
    settings = demo.state.settings
    if not demo.ledger.asks():
        top_up_asks(demo.ledger, demo.bundle, settings.answers, settings.seed, "stream_1")
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
    """Move the threshold and train the first fallback."""
    settings = demo.state.settings
    confirmed, unresolved = confirmed_images(demo.ledger)
    # Killed after the threshold was stored: start from the first one again, as if this had not been.
    demo.bundle.thresholds.use(FIRST_VERSION)
    costs = Costs(escape=settings.cost_escape)
    learned = relearn(demo.bundle, confirmed, costs, settings.seed, demo.progress, settings.max_false_reject)
    record_model(demo.ledger, demo.bundle)
    return {"unresolved": unresolved, "confirmed": len(confirmed), **learned.report}


def compare(demo: Demo) -> dict[str, Any]:
    """Score the second stream and compare both thresholds on it."""
    records = read_data(demo.line / "stream_2" / "images.csv")
    result = score_images(
        demo.bundle, records, ledger=demo.ledger, home=demo.home, batch="stream_2", progress=demo.progress
    )
    measurement = measure(
        result.scored,
        Truth.read(demo.line / "stream_2"),
        demo.bundle.thresholds.get(FIRST_VERSION),
        demo.bundle.thresholds.current(),
        answers=sum(question.state == "answered" for question in demo.ledger.asks()),
        seed=demo.state.settings.seed,
    )
    return {"measurement": measurement.model_dump(mode="json")}


STEPS: dict[str, tuple[str, Callable[[Demo], dict[str, Any]]]] = {
    "parts": ("make a production line", make_parts),
    "train": ("train from good parts alone", train),
    "score": ("score the first stream into the ledger", score),
    "show": ("bring it into FiftyOne, with maps and similarity", show),
    "ask": ("draw the questions", ask),
    "send": ("send them to Label Studio", send),
    "answer": ("the inspector answers", answer),
    "fetch": ("fetch the verdicts", fetch),
    "learn": ("move the threshold, train a fallback", learn),
    "compare": ("score the second stream, before and after", compare),
    "show_verdicts": ("bring verdicts and new decisions into FiftyOne", show),
}
"""Name, what it does in words, and the function, in order."""

WITH_LABEL_STUDIO = ("send", "answer", "fetch")
