"""Who decides where no judgement made it so: the first model, and one that a person appoints."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.ledger import Ledger
from integrations.succession import champion_of, load_model, rollback
from learning.detectors import Budget
from learning.errors import BundleError
from learning.training import train_bundle
from tests.integrations.cli.running import mistake, run
from tests.integrations.plant import BLIND, SHARP, Plant, config, picture


def test_a_refused_challenge_appoints_nobody(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    place = ("--ledger", plant.place, "--home", plant.home)
    asked = ("retrain", "challenger", plant.good, *place, "--steps", 1)
    assert "no decision" in mistake(*asked, "--bundle", plant.bundle.folder)  # margins ask for more than there is
    assert "no images of camera" in mistake(*asked, "--camera", "Tippfehler", "--bundle", plant.bundle.folder)
    with Ledger.open(plant.place) as ledger:
        assert ledger.champions() == []
        assert ledger.champion("Tippfehler") is None


def test_a_champion_that_was_trained_over_can_be_followed(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    folder, ledger = plant.bundle.folder, ("--ledger", plant.place)
    with Ledger.open(plant.place) as opened:
        first = champion_of(opened, folder=folder).fingerprint
        train_bundle(plant.good, folder, config=config(SHARP), budget=Budget(steps=1))
        with pytest.raises(BundleError, match=f"holds another model by now .* retrain appoint {folder}"):
            champion_of(opened)
        with pytest.raises(BundleError, match="holds another model by now"):
            load_model(opened, first)
    result = run("retrain", "appoint", folder, *ledger, "--reason", "trained over")
    assert result.exit_code == 0, result.output
    assert f"instead of {first}" in " ".join(result.stderr.split())
    with Ledger.open(plant.place) as opened:
        now = champion_of(opened)
        assert now.fingerprint != first
        assert [(row.event, row.reason) for row in opened.champions()][-1] == ("appointed", "trained over")
        with pytest.raises(BundleError, match="holds another model by now"):
            rollback(opened)
    assert "is the champion already" in run("retrain", "appoint", folder, *ledger).stderr
    assert run("score", "champion", plant.root / "stream", *ledger, "--home", plant.home).exit_code == 0
    assert "bundle" in mistake("retrain", "appoint", plant.good, *ledger)


def test_one_that_was_appointed_by_mistake_is_taken_back(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    other = train_bundle(plant.good, plant.root / "other", config=config(SHARP), budget=Budget(steps=1))
    for folder in (plant.bundle.folder, other.folder):
        assert run("retrain", "appoint", folder, "--ledger", plant.place).exit_code == 0
    assert run("retrain", "rollback", "--ledger", plant.place).exit_code == 0
    with Ledger.open(plant.place) as opened:
        assert champion_of(opened).fingerprint == plant.bundle.fingerprint


def test_a_mask_of_nothing_is_no_mask_and_one_of_everything_is_refused(
    make: Callable[..., Plant], tmp_path: Path
) -> None:
    plant = make(BLIND)
    returned = picture(tmp_path / "complaint.png", 99, 80)
    nothing, everything = tmp_path / "nothing.png", tmp_path / "everything.png"
    for file, value in ((nothing, 0), (everything, 255)):
        Image.fromarray(np.full((48, 48), value, np.uint8)).save(file)
    add = ("review", "add", returned, "--ledger", plant.place, "--home", plant.home)
    assert "marks all of the picture" in mistake(*add, "--mask", everything)
    assert "is no kind of defect" in mistake(*add, "--defect", "good")
    result = run(*add, "--mask", nothing)
    assert result.exit_code == 0, result.output
    assert "is empty" in result.stderr
    assert "without --mask it is no source" in result.stderr
    with Ledger.open(plant.place) as opened:
        (case,) = opened.regression_cases()
        assert next(one for one in opened.resolved() if one.image_id == case.image_id).mask_path is None
