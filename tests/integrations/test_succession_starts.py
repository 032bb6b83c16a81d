"""Where a challenger's weights begin, and that what taught them decides nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.ledger import Ledger
from curation.set_versions import roles_of
from integrations import challengers
from integrations.challengers import Options, groups_that_taught
from integrations.succession import challenge
from learning.bundle import Bundle
from learning.detectors import Budget
from learning.errors import ConfigError, DataError
from learning.relearn import Confirmed, Relearned
from learning.starts import Start
from tests.integrations.plant import BLIND, RULES, SHARP, Plant, config, options


def test_a_challenger_goes_on_from_the_champion_and_what_taught_it_is_known(make: Callable[..., Plant]) -> None:
    plant = make(BLIND, detector="tunable")
    told: list[str] = []
    with Ledger.open(plant.place) as ledger:
        first = plant.challenge(ledger, options(), tell=told.append)
        assert first.promoted
        assert any(f"from the weights of {plant.bundle.fingerprint}" in line for line in told)
        started = first.challenger.manifest.started
        assert started is not None
        assert (started.model, started.training_sets) == (plant.bundle.fingerprint, ())
        held = set(plant.bundle.calibration["image"])
        assert set(first.challenger.calibration["image"]) == held
        frozen = {member.group for member in ledger.set_version(first.frozen.name).members}

        with pytest.raises(DataError, match="there is nothing new to go on with"):
            challenge(ledger, plant.good, plant.home, options(), RULES)

        # An inspector changes their mind about what has taught it: unresolved, it trains the next one no more.
        taught = groups_that_taught(ledger, first.challenger)
        one = next(image for image in ledger.images() if image.group in taught)
        ledger.record_verdicts([plant.verdict(one.image_id, "unsure")])
        second = challenge(ledger, plant.good, plant.home, options(seed=1), RULES)
        assert one.group not in {m.group for m in ledger.set_version(second.training.name).members}
        started = second.challenger.manifest.started
        assert started is not None
        assert [version.name for version in started.training_sets] == [first.training.name]
        # Its weights remember all the same.
        assert groups_that_taught(ledger, second.challenger) >= taught
        assert one.group in groups_that_taught(ledger, second.challenger)
        assert set(second.challenger.calibration["image"]) == held
        assert not frozen & groups_that_taught(ledger, second.challenger)


def test_groups_that_taught_set_no_threshold_when_the_share_changes(
    make: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = make(BLIND, detector="tunable")
    few, many = (RULES.model_copy(update={"threshold_share": share}) for share in (0.1, 0.8))
    asked: list[set[str]] = []
    weigh = challengers.relearn

    def recorded(bundle: Bundle, confirmed: Sequence[Confirmed], *arguments: Any) -> Relearned:
        asked.append({item.group for item in confirmed})
        return weigh(bundle, confirmed, *arguments)

    monkeypatch.setattr(challengers, "relearn", recorded)
    with Ledger.open(plant.place) as ledger:
        first = plant.challenge(ledger, options(), few)
        assert first.promoted
        # The same members would be the same version, with the share of then.
        one = next(image for image in ledger.images() if image.group in groups_that_taught(ledger, first.challenger))
        ledger.record_verdicts([plant.verdict(one.image_id, "unsure")])
        challenge(ledger, plant.good, plant.home, options(), many)
        assert len(asked) == 2
        assert asked[1]
        assert not asked[1] & groups_that_taught(ledger, first.challenger)


def test_confirmed_defects_are_shown_to_a_challenger_that_goes_on_with_masks_where_there_are_any(
    make: Callable[..., Plant],
) -> None:
    plant = make(BLIND, detector="tunable")
    mask = plant.root / "mask.png"
    Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 20)).save(mask)
    with Ledger.open(plant.place) as ledger:
        marked = [one.image_id for one in ledger.resolved() if one.state == "defect"][::2]
        ledger.record_verdicts(
            [replace(plant.verdict(key, "defect"), revision="2", regions_mask=mask) for key in marked]
        )
        outcome = plant.challenge(ledger, options(), promote=False)
        roles = roles_of(ledger.set_version(outcome.training.name))
        expected = {member.path for member in roles.defects if member.image_id in marked}
        assert 0 < len(expected) < len(roles.defects)
        pictures = challengers.pictures_of(ledger, roles)
        assert {one.path for one in pictures} == {member.path for member in roles.defects}
        assert {one.path for one in pictures if one.mask is not None} == expected
        assert all(one.defective for one in pictures)
        assert outcome.challenger.manifest.defects.shown == len(pictures)
        scratch = plant.challenge(ledger, options(), RULES.model_copy(update={"start": Start.SCRATCH}), promote=False)
        assert scratch.challenger.manifest.defects.shown == 0


def test_from_scratch_when_told_so_or_when_another_training_is_configured(make: Callable[..., Plant]) -> None:
    plant = make(BLIND, detector="tunable")
    with Ledger.open(plant.place) as ledger:
        scratch = plant.challenge(ledger, options(), RULES.model_copy(update={"start": Start.SCRATCH}), promote=False)
        assert scratch.challenger.manifest.started is None
        configured = Options(Budget(steps=1), config(SHARP, "tunable"))
        other = plant.challenge(ledger, configured, promote=False)
        assert other.challenger.manifest.started is None
        with pytest.raises(ConfigError, match="detector_config would differ"):
            plant.challenge(ledger, configured, RULES.model_copy(update={"start": Start.CHAMPION}), promote=False)


def test_good_parts_that_trained_the_champion_may_not_go_missing(make: Callable[..., Plant]) -> None:
    plant = make(BLIND, detector="tunable")
    gone = Path(plant.bundle.embeddings("train")[0][0])
    gone.unlink()
    with Ledger.open(plant.place) as ledger, pytest.raises(DataError, match=f"such as {gone}: give them too"):
        plant.challenge(ledger, options())
