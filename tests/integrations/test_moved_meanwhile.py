"""What decides is taken once: a threshold or a model that changes while a command runs does not decide half of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from curation.ledger import Ledger
from curation.ledger.files import sha256_of
from integrations import recording
from integrations.cli import app
from integrations.recording import score_images
from integrations.shadow import run_shadow
from integrations.succession import champion_of
from learning.bundle import Bundle
from learning.detectors import Budget
from learning.images.records import ImageRecord
from learning.progress import Progress
from learning.thresholds import Threshold
from learning.training import train_bundle
from tests.integrations.plant import BLIND, SHARP, Plant, config, options, picture

_EVERYTHING_PASSES = 1e6


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def moves_once(bundle: Bundle, said: str) -> Progress:
    """Progress that moves a bundle's threshold far up, once it is told so."""
    before = bundle.thresholds.current()

    def progress(done: float, total: float, text: str) -> None:
        if text.startswith(said) and bundle.thresholds.current().version == before.version:
            bundle.thresholds.add(before.model_copy(update={"value": _EVERYTHING_PASSES}))

    return progress


def today(plant: Plant) -> list[ImageRecord]:
    files = [picture(plant.root / "today" / f"{n}.png", 5000 + n, 80 * (n % 2)) for n in range(24)]
    return [ImageRecord(path=file, part=f"today {n}") for n, file in enumerate(files)]


def test_what_scored_the_first_image_scores_the_last(
    make: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = make(SHARP)
    used: list[Threshold | None] = []
    score = recording.score_records

    def spied(*given: object, **more: object) -> object:
        used.append(more.get("threshold"))  # type: ignore[arg-type]
        return score(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "score_records", spied)
    progress = moves_once(plant.bundle, "scoring")
    with Ledger.open(plant.place) as ledger:
        result = score_images(plant.bundle, today(plant), ledger=ledger, home=plant.home, progress=progress)
        assert plant.bundle.thresholds.current().version == 2
        assert (result.threshold.version, used) == (1, [result.threshold])
        assert {image.threshold_version for image in result.scored} == {1}
        assert sum(image.decision == "reject" for image in result.scored) >= 12
        assert {row.threshold_version for row in ledger.scores()} == {1}


def test_the_promise_that_is_printed_is_of_the_threshold_that_decided(
    make: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = make(SHARP)
    first = plant.bundle.thresholds.current()
    looser = first.model_copy(update={"promise": first.promise.__class__("false_reject", 0.5, 0.95, 9, "a looser one")})
    record = recording.record_model

    def moved(*given: object) -> None:
        record(*given)  # type: ignore[arg-type]
        plant.bundle.thresholds.add(looser)

    monkeypatch.setattr(recording, "record_model", moved)
    today(plant)
    said = run("score", plant.bundle.folder, plant.root / "today", "--ledger", plant.place, "--home", plant.home).stderr
    assert plant.bundle.thresholds.current().promise.text == "a looser one"
    assert first.promise.text in " ".join(said.split())


def test_a_judgement_is_of_the_thresholds_that_it_names(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        still = plant.challenge(ledger, options(SHARP), promote=False)
        quiet = json.loads(still.row.report)["gates"]
    shutil.rmtree(plant.home)
    Path(plant.place).unlink()
    again = make(BLIND)
    with Ledger.open(again.place) as ledger:
        moves = moves_once(again.bundle, "scoring images")
        moved = again.challenge(ledger, options(SHARP), promote=False, progress=moves)
        assert again.bundle.thresholds.current().value == _EVERYTHING_PASSES
        assert moved.row.champion_threshold == 1
        assert json.loads(moved.row.report)["gates"] == quiet


def test_the_shadow_names_the_thresholds_that_decided(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    records = today(plant)
    with Ledger.open(plant.place) as ledger:
        sharp = plant.challenge(ledger, options(SHARP), promote=False).challenger
        decided = score_images(plant.bundle, records, ledger=ledger, home=plant.home)
        before, own = decided.threshold.version, sharp.thresholds.current().version
        plant.bundle.thresholds.add(decided.threshold.model_copy(update={"value": _EVERYTHING_PASSES}))
        run_shadow(ledger, plant.bundle, sharp, records, decided)
        assert {(row.champion_threshold, row.challenger_threshold) for row in ledger.shadow()} == {(before, own)}


def test_another_model_in_the_champions_folder_does_not_decide(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        champion_of(ledger, folder=plant.bundle.folder)
    train_bundle(plant.good, plant.bundle.folder, config=config(SHARP), budget=Budget(steps=1))
    result = run("score", "champion", plant.root / "stream", "--ledger", plant.place, "--home", plant.home)
    assert result.exit_code == 2
    assert f"holds another model by now than {plant.bundle.fingerprint}" in " ".join(result.stderr.split())
    with Ledger.open(plant.place) as ledger:
        assert ledger.scores() == []


def test_embeddings_that_cannot_be_written_again_stay_as_they_were(
    make: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = make(BLIND)
    records = today(plant)
    with Ledger.open(plant.place) as ledger:
        score_images(plant.bundle, records, ledger=ledger, home=plant.home)
        before = ledger.embeddings(plant.bundle.fingerprint)[1].copy()
        plant.bundle.thresholds.add(plant.bundle.thresholds.current())

        def full(file: object, array: np.ndarray) -> None:
            file.write(b"half of it")  # type: ignore[attr-defined]
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(recording.np, "save", full)
        with pytest.raises(OSError, match="No space"):
            score_images(plant.bundle, records, ledger=ledger, home=plant.home)
        assert np.array_equal(ledger.embeddings(plant.bundle.fingerprint)[1], before)
    assert not list(plant.home.rglob("*.part"))


def test_a_case_that_is_added_again_on_a_full_disk_stays_as_it_was(
    make: Callable[..., Plant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = make(BLIND)
    returned = picture(tmp_path / "mail" / "complaint.png", 99, 80)
    masks = [tmp_path / "mail" / f"{name}.png" for name in ("first", "second")]
    for place, mask in enumerate(masks):
        Image.fromarray(np.pad(np.full((6, 6), 255, np.uint8), ((21, 21), (20 + place, 22 - place)))).save(mask)
    add = ("review", "add", returned, "--ledger", plant.place, "--home", plant.home)
    assert run(*add, "--mask", masks[0], "--who", "ann").exit_code == 0

    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:20])
        raise OSError(28, "No space left on device", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        # The picture is there: only the mask is new, and what there is no room for leaves no trace.
        result = run(*add, "--mask", masks[1], "--who", "bob")
    assert (result.exit_code, "the disk is full" in result.stderr) == (2, True)
    assert not list(plant.home.rglob("*.part"))
    assert run(*add, "--mask", masks[1], "--who", "bob").exit_code == 0
    with Ledger.open(plant.place) as ledger:
        (case,) = ledger.regression_cases()
        said = ledger.verdicts(image_id=case.image_id)
        # What one of them drew is not painted over by the other.
        assert [sha256_of(Path(str(one.regions_mask))) for one in said] == [sha256_of(mask) for mask in masks]
