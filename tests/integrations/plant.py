"""A plant of stubs: good parts, a ledger with confirmed parts, and a model that decides."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.ledger import ImageEntry, Ledger, VerdictEntry
from integrations import succession
from integrations.challengers import Options
from integrations.recording import record_model
from integrations.succession import challenge
from learning.challenge import ChallengeConfig, Metric
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.training import train_bundle

SIDE = 48
BLIND, SHARP = {"sees": 0.4}, {"sees": 1.0}
RULES = ChallengeConfig(
    margins={Metric.ESCAPE: 0.2, Metric.FALSE_REJECT: 0.2}, synthetic_each=0, frozen_share=0.5, resamples=300
)


class Killed(BaseException):
    """A run that is ended between judgement and promotion."""


@contextmanager
def killed_before_promoting() -> Iterator[None]:
    """End with ``Killed`` whatever would promote a challenger, while this lasts."""
    crown = Ledger.crown

    def dies(*given: object) -> object:
        if given[3] == "promoted":
            raise Killed
        return crown(*given)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "crown", dies)
        with pytest.raises(Killed):
            yield


def picture(file: Path, seed: int, spot: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    pixels = rng.normal(120, 6, (SIDE, SIDE))
    if spot:
        top, left = rng.integers(4, SIDE - 12, 2)
        pixels[top : top + 5, left : left + 5] += spot
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file)
    return file


def config(detector_config: dict[str, float], detector: str = "stub") -> TrainConfig:
    return TrainConfig(detector=detector, detector_config=detector_config, view="whole")


def options(detector_config: dict[str, float] | None = None, seed: int = 0) -> Options:
    return Options(Budget(steps=1), None if detector_config is None else config(detector_config), seed)


class Plant:
    """A folder with good parts, a ledger with confirmed parts, and a model that decides."""

    def __init__(self, root: Path, champion: dict[str, float], stream: int = 120, detector: str = "stub") -> None:
        self.root = root
        self.good = root / "good"
        self.home = root / "home"
        self.place = str(root / "plant.db")
        for number in range(40):
            picture(self.good / f"{number}.png", number)
        self.bundle = train_bundle(
            self.good, root / "bundle", config=config(champion, detector), budget=Budget(steps=1)
        )
        with Ledger.open(self.place) as ledger:
            record_model(ledger, self.bundle)
            files = [picture(root / "stream" / f"{n}.png", 1000 + n, 45 * (n % 2)) for n in range(stream)]
            ids = ledger.add_images([ImageEntry(file, f"part {n}") for n, file in enumerate(files)])
            ledger.record_verdicts([self.verdict(key, "defect" if n % 2 else "good") for n, key in enumerate(ids)])

    def verdict(self, image_id: str, said: str) -> VerdictEntry:
        return VerdictEntry(None, image_id, "ann", said, datetime.now(UTC), "test", image_id, said)  # type: ignore[arg-type]

    def challenge(
        self, ledger: Ledger, opts: Options, rules: ChallengeConfig = RULES, **more: object
    ) -> succession.Outcome:
        return challenge(ledger, self.good, self.home, opts, rules, champion=self.bundle.folder, **more)  # type: ignore[arg-type]
