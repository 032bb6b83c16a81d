"""Champion and challenger: a better one takes over, a worse one is refused and says why, a kill changes nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner, Result

from curation.by_choice import make_version
from curation.frozen import held_back_groups
from curation.ledger import ImageEntry, Ledger
from curation.regressions import add_returned, withdraw_returned
from integrations.challengers import groups_that_taught
from integrations.cli import app
from integrations.recording import confirmed_images, load_bundle, models_in_use, score_images
from integrations.shadow import run_shadow
from integrations.succession import challenge, champion_of, rollback, waiting_winner
from integrations.versions import train_on_version
from learning.bundle import Bundle
from learning.challenge import Metric
from learning.challenge.config import ChallengeCosts
from learning.detectors import Budget
from learning.errors import BundleError, DataError, PromiseError
from learning.images.records import ImageRecord
from learning.training import train_bundle
from tests.integrations.plant import BLIND, RULES, SHARP, Plant, config, killed_before_promoting, options, picture


def test_a_better_challenger_takes_over_and_every_step_can_be_repeated(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        judged = plant.challenge(ledger, options(SHARP), promote=False)
        assert judged.row.wins
        assert not judged.promoted
        assert champion_of(ledger).fingerprint == plant.bundle.fingerprint

        outcome = plant.challenge(ledger, options(SHARP))
        assert outcome.promoted
        assert (outcome.row, outcome.training, outcome.frozen) == (judged.row, judged.training, judged.frozen)
        assert len(list((plant.home / "challengers").glob("training-*"))) == 1
        now = champion_of(ledger)
        assert now.fingerprint == outcome.challenger.fingerprint == load_bundle(ledger).fingerprint
        assert models_in_use(ledger) == [now.fingerprint]
        assert [row.event for row in ledger.champions()] == ["appointed", "promoted"]
        assert ledger.champions()[-1].challenge == outcome.row.number

        # Which set it was trained on is in the bundle, and nothing of the frozen one is in that.
        assert now.manifest.training_set is not None
        assert now.manifest.training_set.name == outcome.training.name
        assert outcome.training.name in (now.folder / "card.md").read_text()
        taught = {member.image_id for member in ledger.set_version(outcome.training.name).members}
        frozen = ledger.set_version(outcome.frozen.name).members
        assert not taught & {member.image_id for member in frozen}
        # The light path leaves out both what is held back and what trained the model.
        groups = groups_that_taught(ledger, now)
        assert groups
        confirmed, _ = confirmed_images(ledger, now.fingerprint, groups)
        assert confirmed
        assert not {one.group for one in confirmed} & (groups | held_back_groups(ledger))

        with pytest.raises(DataError, match="the challenger is the champion again"):
            challenge(ledger, plant.good, plant.home, options(SHARP), RULES)


def test_a_worse_challenger_is_refused_and_says_why(make: Callable[..., Plant]) -> None:
    plant = make(SHARP)
    with Ledger.open(plant.place) as ledger:
        outcome = plant.challenge(ledger, options(BLIND))
        assert not outcome.row.wins
        assert not outcome.promoted
        assert outcome.row.text.startswith("refused: AUROC on the frozen set: ")
        assert "defective parts of the frozen set accepted: " in outcome.row.text
        assert champion_of(ledger).fingerprint == plant.bundle.fingerprint
        assert [row.text for row in ledger.challenges()] == [outcome.row.text]
        report = json.loads(ledger.challenges()[0].report)
        assert report["rules"]["margins"] == {"escape_rate": 0.2, "false_reject_rate": 0.2}
        with pytest.raises(DataError, match="there is nothing to roll back to"):
            rollback(ledger)


def test_the_same_again_is_not_promoted(make: Callable[..., Plant]) -> None:
    plant = make(SHARP)
    with Ledger.open(plant.place) as ledger:
        outcome = plant.challenge(ledger, options(SHARP, seed=3))
        assert not outcome.promoted
        assert "not shown to be better" in outcome.row.text


def test_better_on_confirmed_parts_and_worse_on_made_up_defects_is_refused(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    # Dear false rejects put the threshold next to the confirmed defects, and made-up ones are fainter than these.
    costs = ChallengeCosts(escape=1.0, false_reject=20.0)
    margins = RULES.margins | {Metric.SYNTHETIC_ESCAPE: 0.2}
    rules = RULES.model_copy(update={"synthetic_each": 2, "margins": margins, "costs": costs})
    with Ledger.open(plant.place) as ledger:
        outcome = plant.challenge(ledger, options(SHARP), rules)
        gates = {gate["name"]: gate for gate in json.loads(outcome.row.report)["gates"]}
        # Faint ones, which the narrow view rejects for its lower threshold.
        assert gates["synthetic_escape_rate"]["challenger"] > gates["synthetic_escape_rate"]["champion"] + 0.1
        assert [name for name, gate in gates.items() if not gate["passed"]] == ["synthetic_escape_rate"]
        assert outcome.row.text.startswith("refused: made-up defects accepted: ")
        assert not outcome.promoted


def test_more_false_rejects_than_the_margin_refuse_a_better_model(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    # Good parts of a quiet day: what is ordinary on the line is unusual among them.
    quiet = plant.root / "quiet"
    for number in range(40):
        still = np.asarray(Image.open(picture(quiet / f"{number}.png", 300 + number))).astype(np.float64)
        Image.fromarray((120 + 0.7 * (still - 120)).astype(np.uint8)).save(quiet / f"{number}.png")
    rules = RULES.model_copy(update={"threshold_share": 0.0})
    with Ledger.open(plant.place) as ledger:
        outcome = challenge(ledger, quiet, plant.home, options(SHARP), rules, champion=plant.bundle.folder)
        gates = {gate["name"]: gate["passed"] for gate in json.loads(outcome.row.report)["gates"]}
        assert gates == {"auroc": True, "escape_rate": True, "false_reject_rate": False}
        assert outcome.row.text.startswith("refused: good parts of the frozen set rejected: ")


def test_too_few_verdicts_are_refused_before_anything_is_set_aside(make: Callable[..., Plant]) -> None:
    plant = make(BLIND, stream=40)
    with Ledger.open(plant.place) as ledger:
        with pytest.raises(PromiseError, match="no decision: it takes 20 independent defective parts"):
            plant.challenge(ledger, options(SHARP))
        assert ledger.sets() == []
        assert held_back_groups(ledger) == frozenset()
        assert not list((plant.home / "challengers").glob("training-*"))
        with (
            FileLock(plant.home / "challengers" / ".lock"),
            pytest.raises(DataError, match="another challenger is being trained"),
        ):
            plant.challenge(ledger, options(SHARP))


def test_a_missed_regression_case_stops_an_otherwise_better_one(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    good = picture(plant.root / "returned" / "invisible.png", 77)
    with Ledger.open(plant.place) as ledger:
        from curation.regressions import add_returned, withdraw_returned

        row = add_returned(ledger, ImageEntry(good, "returned"), "customer")
        outcome = plant.challenge(ledger, options(SHARP))
        assert not outcome.promoted
        assert outcome.row.text == "refused: 1 of 1 regression cases are missed: invisible.png"
        withdraw_returned(ledger, row.image_id)
        assert plant.challenge(ledger, options(SHARP)).promoted


def test_rolling_back_goes_step_by_step_and_no_schedule_undoes_it(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        outcome = plant.challenge(ledger, options(SHARP))
        row = rollback(ledger, reason="rejects too much")
        assert (row.model_id, row.event, row.reason) == (plant.bundle.fingerprint, "rolled back", "rejects too much")
        assert champion_of(ledger).fingerprint == plant.bundle.fingerprint
        again = plant.challenge(ledger, options(SHARP))
        assert again.row.wins
        assert not again.promoted
        with pytest.raises(DataError, match="there is nothing to roll back to"):
            rollback(ledger)
        # A damaged bundle is not rolled back to.
        ledger.crown(outcome.challenger.fingerprint, plant.bundle.fingerprint, "promoted", "by hand")
        (plant.bundle.folder / "weights.safetensors").write_bytes(b"")
        with pytest.raises(BundleError, match="damaged"):
            rollback(ledger)
        champion = ledger.champion()
        assert champion is not None
        assert champion.model_id == outcome.challenger.fingerprint


def test_who_won_and_was_not_promoted_waits_and_is_judged_anew_before_it_decides(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)

    with Ledger.open(plant.place) as ledger:
        judged = plant.challenge(ledger, options(SHARP), promote=False)
        assert judged.row.wins
        # It was only to be judged, as for the shadow.
        assert waiting_winner(ledger, RULES) is None
        with killed_before_promoting():
            plant.challenge(ledger, options(SHARP, seed=1))
        won = waiting_winner(ledger, RULES)
        assert won is not None
        assert won.challenger_id not in (judged.challenger.fingerprint, plant.bundle.fingerprint)
        assert waiting_winner(ledger, RULES.model_copy(update={"resamples": 400})) is None
        assert waiting_winner(ledger, RULES, "another camera") is None
        # What was said since counts against it: of a part without any spot nothing is to be seen.
        missed = add_returned(ledger, ImageEntry(picture(plant.root / "returned.png", 900), "returned"), "ann")
        refused = plant.challenge(ledger, options(SHARP), winner=won)
        assert (refused.challenger.fingerprint, refused.promoted) == (won.challenger_id, False)
        assert "regression cases are missed" in refused.row.text
        assert waiting_winner(ledger, RULES) is None
        assert withdraw_returned(ledger, missed.image_id)
        promoted = plant.challenge(ledger, options(SHARP), winner=won)
        assert promoted.promoted
        assert waiting_winner(ledger, RULES) is None
        assert len(list((plant.home / "challengers").glob("training-*"))) == 2
        rollback(ledger)
        assert waiting_winner(ledger, RULES) is None


def test_status_says_who_has_won_and_waits_and_why_and_what_comes_next(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    ledger = ("--ledger", plant.place)
    with Ledger.open(plant.place) as opened:
        judged = plant.challenge(opened, options(SHARP, seed=1), promote=False)
        with killed_before_promoting():
            plant.challenge(opened, options(SHARP))
        won = waiting_winner(opened, RULES)
        assert won is not None
    found = json.loads(run("retrain", "status", *ledger, "--json").stdout)
    (waiting,), (only,) = found["waiting"], found["judged_only"]
    assert (waiting["challenger"], waiting["champion"]) == (won.challenger_id, plant.bundle.fingerprint)
    assert Path(waiting["bundle"]).is_relative_to(plant.home / "challengers")
    assert [text.split(":")[0] for text in waiting["why"]] == [
        "AUROC on the frozen set",
        "defective parts of the frozen set accepted",
        "good parts of the frozen set rejected",
    ]
    assert "judges the challenger once more" in waiting["next"]
    assert only["challenger"] == judged.challenger.fingerprint
    assert "without --judge-only" in only["next"]
    said = run("retrain", "status", *ledger).stderr
    assert f"{won.challenger_id} in {waiting['bundle']} has won and waits to be promoted" in said
    assert all(f"  {text}\n" in said for text in waiting["why"])
    assert f"  next: {waiting['next']}\n" in said
    with Ledger.open(plant.place) as opened:
        assert plant.challenge(opened, options(SHARP), winner=won).promoted
    found = json.loads(run("retrain", "status", *ledger, "--json").stdout)
    assert (found["waiting"], found["judged_only"]) == ([], [])
    assert "waits to be promoted" not in run("retrain", "status", *ledger).stderr


def test_in_the_shadow_both_are_recorded_and_only_the_champion_decides(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        sharp = plant.challenge(ledger, options(SHARP), promote=False).challenger
        files = [picture(plant.root / "today" / f"{n}.png", 5000 + n, 60 * (n % 2)) for n in range(24)]
        records = [ImageRecord(path=file, part=f"today {n}") for n, file in enumerate(files)]
        decided = score_images(plant.bundle, records, ledger=ledger, home=plant.home)
        for _ in range(2):
            report = run_shadow(ledger, plant.bundle, sharp, records, decided, "shift")
            assert report.parts == 24
            assert report.challenger_only >= 2
            assert len(report.differing) == report.champion_only + report.challenger_only
        assert len(ledger.shadow(sharp.fingerprint)) == 24
        assert {score.model_id for score in ledger.scores()} == {plant.bundle.fingerprint}
        with pytest.raises(DataError, match="is the champion itself"):
            run_shadow(ledger, plant.bundle, plant.bundle, records, decided)


_KILLED_AT = (
    "freeze",
    "make_training_set",
    "train_on_records",
    "_set_threshold",
    "judge_challenger",
    "_record",
    "crown",
)


@pytest.mark.slow
@pytest.mark.parametrize("step", _KILLED_AT)
def test_a_kill_after_any_step_leaves_the_champion_and_the_next_run_finishes(
    make: Callable[..., Plant], step: str
) -> None:
    plant = make(BLIND)
    code = f"""
import os, signal, sys
from pathlib import Path
from learning.detectors import DETECTORS
DETECTORS["stub"] = "tests.integrations.stub:StubDetector"
import curation.frozen, curation.set_versions
from integrations import challengers, succession
from curation.ledger import Ledger
from tests.integrations.test_succession import RULES, SHARP, options
def killing(owner, name):
    whole = getattr(owner, name)
    def half(*arguments, **more):
        if name == "crown" and arguments[3] == "appointed":
            return whole(*arguments, **more)
        whole(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, half)
step = {step!r}
for owner in (curation.frozen, curation.set_versions, challengers, succession, Ledger):
    if hasattr(owner, step) and (owner is Ledger) == (step == "crown"):
        killing(owner, step)
with Ledger.open({plant.place!r}) as ledger:
    succession.challenge(ledger, Path({str(plant.good)!r}), Path({str(plant.home)!r}), options(SHARP), RULES,
                         champion=Path({str(plant.bundle.folder)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger.open(plant.place) as ledger:
        decides = champion_of(ledger).fingerprint
        if step == "crown":
            assert decides != plant.bundle.fingerprint
            return
        assert decides == plant.bundle.fingerprint
        outcome = plant.challenge(ledger, options(SHARP))
        assert outcome.promoted
        assert len(outcome.challenger.thresholds.all()) == 2
        assert len(ledger.sets()) == 2
        assert len(ledger.challenges()) == 1
        assert len(list((plant.home / "challengers").glob("training-*"))) == 1


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_commands_as_a_process_engineer_meets_them(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    ledger = ("--ledger", plant.place)
    rules, sharp = plant.root / "rules.yaml", plant.root / "sharp.yaml"
    rules.write_text(
        "margins: {escape_rate: 0.2, false_reject_rate: 0.2}\nsynthetic_each: 0\nfrozen_share: 0.5\nresamples: 300\n"
    )
    sharp.write_text("detector: stub\ndetector_config: {sees: 1.0}\nview: whole\n")
    train = ("retrain", "challenger", plant.good, *ledger, "--home", plant.home, "--rules", rules, "--steps", 1)
    train = (*train, "--bundle", plant.bundle.folder, "--device", "cpu")

    assert "no champion was appointed" in run("retrain", "status", *ledger).stderr
    result = run(*train, "--config", sharp, "--judge-only", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["wins"], found["promoted"]) == (True, False)
    result = run("score", "champion", plant.root / "stream", *ledger, "--home", plant.home, "--shadow", "challenger")
    assert result.exit_code == 0, result.output
    assert "in the shadow: 120 parts" in result.stderr
    assert json.loads(run("retrain", "shadow", *ledger, "--json").stdout)["comparisons"][0]["parts"] == 120

    result = run(*train, "--config", sharp)
    assert "wins: AUROC on the frozen set" in result.stderr
    assert "decides from now on" in result.stderr
    status = json.loads(run("retrain", "status", *ledger, "--json").stdout)
    assert status["champions"][0]["bundle"] == found["challenger_bundle"]
    assert [row["event"] for row in status["history"]] == ["appointed", "promoted"]
    result = run("retrain", "rollback", *ledger, "--reason", "a test")
    assert "decides again" in result.stderr
    names = [row["name"] for row in json.loads(run("retrain", "sets", *ledger, "--json").stdout)["sets"]]
    assert names == [found["frozen_set"], found["training_set"]]
    result = run("retrain", "compare", *names, *ledger, "--json")
    assert json.loads(result.stdout)["unchanged"] == 0
    result = run(*train, "--config", sharp, "--if-new", 1, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"trained": False, "new": 0, "drift": []})
    result = run(*train, "--config", sharp, "--if-verdicts", 1, "--if-drift")
    assert "no new drift alarm: nothing was done" in result.stderr
    result = run(*train, "--start", "champion")
    assert (result.exit_code, result.stderr.strip().splitlines()[-1]) == (
        2,
        "error: stub cannot go on from weights that are there: train it from scratch",
    )
    # The light path is as it was, and options in the wrong place are one line.
    assert run("retrain", *ledger, "--bundle", plant.bundle.folder, "--json").exit_code == 0
    result = run("retrain", *ledger, "status")
    assert result.exit_code == 2
    assert result.stderr.strip() == "error: --ledger comes after the command: flawsmith retrain status --ledger …"
    result = run("score", "champion", plant.root / "stream")
    assert (result.exit_code, len(result.stderr.strip().splitlines())) == (2, 1)


def test_review_add_makes_a_case_and_says_what_it_is_not(make: Callable[..., Plant], tmp_path: Path) -> None:
    plant = make(BLIND)
    returned = picture(tmp_path / "mail" / "complaint.png", 99, 80)
    mask = tmp_path / "mail" / "mask.png"
    Image.fromarray(np.pad(np.full((6, 6), 255, np.uint8), 21)).save(mask)
    where = ("--ledger", plant.place, "--home", plant.home)
    result = run("review", "add", returned, *where)
    assert result.exit_code == 0, result.output
    assert "is a regression case" in result.stderr
    assert "without --mask it is no source" in result.stderr
    assert "without" not in run("review", "add", returned, *where, "--mask", mask, "--defect", "spot").stderr
    returned.unlink()
    with Ledger.open(plant.place) as ledger:
        (case,) = ledger.regression_cases()
        image = ledger.image(case.image_id)
        assert Path(image.path).is_relative_to(plant.home.resolve())
        assert next(one for one in ledger.resolved() if one.image_id == case.image_id).mask_path is not None
    kept = Path(image.path)
    assert kept.name == f"complaint-{image.image_id[:8]}.png"
    assert "is no case any more" in run("review", "add", kept, *where, "--undo").stderr
    assert "was no case" in run("review", "add", kept, *where, "--undo").stderr
    wrong = run("review", "add", tmp_path / "nothing.png", *where)
    assert (wrong.exit_code, len(wrong.stderr.strip().splitlines())) == (2, 1)
    small = tmp_path / "small.png"
    Image.new("L", (5, 5)).save(small)
    wrong = run("review", "add", kept, *where, "--mask", small)
    assert (wrong.exit_code, len(wrong.stderr.strip().splitlines())) == (2, 1)


def test_a_bundle_that_is_not_the_champion_is_refused(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        champion_of(ledger, folder=plant.bundle.folder)
        other = train_bundle(plant.good, plant.root / "other", config=config(SHARP), budget=Budget(steps=1))
        with pytest.raises(DataError, match="holds another model than the champion"):
            champion_of(ledger, folder=other.folder)
        assert isinstance(champion_of(ledger), Bundle)


def test_each_camera_has_a_champion_of_its_own(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    other = train_bundle(plant.good, plant.root / "other", config=config(SHARP), budget=Budget(steps=1))
    with Ledger.open(plant.place) as ledger:
        for camera, bundle in (("left", plant.bundle), ("right", other)):
            files = [picture(plant.root / camera / f"{n}.png", 9000 + n + 10 * (camera == "left")) for n in range(2)]
            records = [ImageRecord(path=file, camera=camera) for file in files]
            score_images(bundle, records, ledger=ledger, home=plant.home)
        with pytest.raises(DataError, match=r"several cameras \(left, right\): say whose"):
            champion_of(ledger)
        assert ledger.champions() == []
        assert champion_of(ledger, "left").fingerprint == plant.bundle.fingerprint
        assert champion_of(ledger, "right").fingerprint == other.fingerprint
        ledger.crown("new", other.fingerprint, "promoted", "better", "right")
        assert models_in_use(ledger) == [plant.bundle.fingerprint, "new"]
    result = run("score", "champion", plant.root / "stream", "--ledger", plant.place)
    assert result.exit_code == 2
    assert "there are champions of cameras (left, right): say whose it is" in result.stderr


def test_a_model_is_trained_on_a_version_and_names_it(make: Callable[..., Plant]) -> None:
    plant = make(BLIND)
    with Ledger.open(plant.place) as ledger:
        made = make_version(ledger, "spring", who="ann")
        out = plant.root / "spring"
        bundle = train_on_version(ledger, "spring", out, config=config(SHARP), budget=Budget(steps=1))
        named = Bundle.load(out).manifest.training_set
        assert named is not None
        assert (named.name, named.fingerprint) == ("spring", made.row.fingerprint)
        assert "spring" in (out / "card.md").read_text()
        assert bundle.manifest.data_fingerprint
        plant.challenge(ledger, options(SHARP), promote=False)
        with pytest.raises(DataError, match="held back for judging challengers since"):
            train_on_version(ledger, "spring", plant.root / "b", config=config(SHARP), budget=Budget(steps=1))
        (frozen,) = ledger.sets("frozen")
        with pytest.raises(DataError, match="nothing may learn from it"):
            train_on_version(ledger, frozen.name, plant.root / "b", config=config(SHARP), budget=Budget(steps=1))
        assert make_version(ledger, "summer").held_back > 0
