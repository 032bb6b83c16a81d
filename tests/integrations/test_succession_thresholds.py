"""Which threshold a challenger is judged with, and that a kill in between changes none."""

from collections.abc import Callable

import pytest

from curation.ledger import ImageEntry, Ledger
from learning.bundle import by_group
from learning.thresholds import OriginLimit, Origins, Threshold, conformal_threshold
from tests.integrations.plant import BLIND, RULES, SHARP, Plant, options


def test_a_threshold_that_was_written_and_not_made_current_is_set_again(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        first = plant.challenge(ledger, options(SHARP), promote=False).challenger
        first.thresholds.use(1)
        again = plant.challenge(ledger, options(SHARP), promote=False).challenger
        assert again.thresholds.current().version == 3
        assert again.thresholds.current().value == first.thresholds.get(2).value


def test_the_same_weights_with_another_threshold_are_judged_anew(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    rules = RULES.model_copy(update={"threshold_share": 0.0})
    with Ledger.open(plant.place) as ledger:
        first = plant.challenge(ledger, options(SHARP), rules, promote=False)
        # The champion's promise is moved, and with it the challenger's.
        store = plant.bundle.thresholds
        value, promise = conformal_threshold(by_group(plant.bundle.calibration), 0.5)
        store.add(Threshold(value=value, promise=promise, reason="the plant can bear more"))
        second = plant.challenge(ledger, options(SHARP), rules, promote=False)
        assert first.challenger.folder != second.challenger.folder
        assert first.challenger.fingerprint == second.challenger.fingerprint
        values = {row.version: row.value for row in ledger.thresholds(first.challenger.fingerprint)}
        assert sorted(values) == [1, 2, 3]
        assert values[2] > values[3] == second.challenger.thresholds.current().value
        assert [row.challenger_threshold for row in ledger.challenges()] == [2, 3]
        # Stopped and repeated, it is the same judgement.
        assert plant.challenge(ledger, options(SHARP), rules, promote=False).row == second.row


@pytest.mark.parametrize(("limit", "own"), [(0.6, True), (0.32, False)])
def test_a_challenger_has_values_by_camera_where_the_champion_has(
    make: Callable[..., Plant], limit: float, own: bool
) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        files = sorted(plant.good.iterdir())
        ledger.add_images([ImageEntry(file, camera=("left", "right")[n % 2]) for n, file in enumerate(files)])
        store = plant.bundle.thresholds
        value, promise = conformal_threshold(by_group(plant.bundle.calibration), limit)
        origins = Origins("camera", {"left": OriginLimit(value, promise)}, {}, "by itself")
        store.add(Threshold(value=value, promise=promise, origins=origins, reason="cameras differ"))
        first = plant.challenge(ledger, options(SHARP), promote=False)
        now = first.challenger.thresholds.current()
        assert (now.version, now.parent, now.promise.limit) == (3, 2, limit)
        if own:
            assert now.origins is not None
            assert (list(now.origins.limits), list(now.origins.lacking)) == (["right"], ["left"])
            assert now.reason == "a value for each camera, as the champion has them, by the calibration parts"
        else:
            assert now.origins is None
            assert "; one value for every camera, unlike the champion's: " in now.reason
            assert "none has them (right 7, left 1)" in now.reason
        # Ended between the two, it goes on; whole, it is taken as it is, and so is what a person sets later.
        first.challenger.thresholds.use(2)
        again = plant.challenge(ledger, options(SHARP), promote=False).challenger.thresholds
        assert again.current().model_copy(update={"version": 3, "created": now.created}) == now
        again.add(Threshold(value=now.value, promise=now.promise, reason="by hand"))
        later = plant.challenge(ledger, options(SHARP), promote=False)
        assert later.challenger.thresholds.current().reason == "by hand"
