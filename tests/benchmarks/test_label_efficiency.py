"""The benchmark of label efficiency: its figures by hand, its halves, and a run from end to end."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.answering import PEERS, Stage, decide, replay, stage
from benchmarks.challenged import Tuner
from benchmarks.label_efficiency import NO_ANSWERS, halves, main, rare_halves, run, run_tuned
from benchmarks.label_efficiency_figures import (
    Curves,
    answers_ratio,
    left_out_change,
    measure,
    recall,
    summarise,
    tables,
)
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.fusion import Scale
from learning.images.readers import read_data
from learning.scoring import score_records
from learning.supervised.fallback import Fallback
from learning.supervised.head import fit_head, sample_places
from learning.training import train_bundle
from synth.parts import make_parts


def curve(**escapes: list[float]) -> dict[int, list[dict[str, float]]]:
    return {int(name[1:]): [{"escape": value} for value in values] for name, values in escapes.items()}


def test_the_ratio_is_where_the_curve_first_comes_down_to_what_the_other_reached() -> None:
    curves: Curves = {
        "mix": curve(_0=[0.8, 0.8], _10=[0.7, 0.7], _20=[0.5, 0.5], _40=[0.3, 0.3]),
        "random": curve(_0=[0.8, 0.8], _40=[0.6, 0.6]),
        "slow": curve(_0=[0.8, 0.8], _10=[0.8, 0.8], _40=[0.7, 0.7]),
    }
    assert answers_ratio(curves, "mix", "random", 40)["ratio"] == pytest.approx(15 / 40)
    assert answers_ratio(curves, "slow", "random", 40)["ratio"] is None
    # Where the other one learnt nothing, one wave is all that can be said.
    curves["random"] = curve(_0=[0.8, 0.8], _40=[0.8, 0.8])
    assert answers_ratio(curves, "mix", "random", 40)["ratio"] == 10 / 40


def test_a_band_spans_the_splits() -> None:
    found = summarise({"mix": curve(_0=[0.0, 0.5, 1.0])})
    assert found["escape"]["mix"]["0"] == pytest.approx({"mean": 0.5, "low": 0.1, "high": 0.9})


def test_a_kind_that_was_left_out_is_bounded_by_its_groups() -> None:
    rows = [
        {"kind": kind, "group": f"{kind}{i}", "change": change}
        for kind, changes in (("crack", [0.2, -0.2, 0.2, -0.2]), ("dent", [0.1, 0.1]))
        for i, change in enumerate(changes)
    ]
    found = left_out_change(rows)
    assert found["mean"] == pytest.approx(0.05)
    assert found["by_kind"] == {"crack": pytest.approx(0), "dent": pytest.approx(0.1)}
    assert -0.06 < found["low"] < found["mean"]
    assert left_out_change([])["low"] is None


def truth(labels: list[str], groups: list[str]) -> Any:
    labelled = np.array(labels)
    return SimpleNamespace(labels=labelled, groups=np.array(groups), defective=labelled != "good")


def test_escapes_and_recall_are_counted_at_five_percent_of_the_measured_good_ones() -> None:
    at = truth(["good"] * 20 + ["dent"] * 4, [str(i) for i in range(24)])
    scores = np.concatenate([np.arange(20.0), [18.5, 18.4, 17.0, 30.0]])
    rows = np.arange(24)
    assert recall(at, scores, np.arange(20, 24), rows, 0.05).tolist() == [1, 1, 0, 1]
    found = measure(at, scores, rows, 0.05)
    assert found["escape"] == pytest.approx(0.25)
    assert found["image_auroc"] == pytest.approx((19 + 19 + 17.5 + 20) / 80)


def test_halves_keep_groups_whole_and_every_kind_on_both_sides() -> None:
    labels = ["good"] * 12 + ["dent"] * 8 + ["crack"] * 6
    groups = [f"{label}{i // 2}" for i, label in enumerate(labels)]
    at = truth(labels, groups)
    for seed in range(5):
        stream, measured = halves(at, seed)
        assert sorted([*stream, *measured]) == list(range(26))
        assert not set(at.groups[stream]) & set(at.groups[measured])
        assert set(at.labels[stream]) == set(at.labels[measured]) == {"good", "dent", "crack"}
    assert halves(at, 0)[0].tolist() != halves(at, 1)[0].tolist()


def test_two_percent_of_a_line_are_defective() -> None:
    at = truth(["good"] * 196 + ["dent"] * 20, [str(i) for i in range(216)])
    stream, measured = rare_halves(at, 0)
    assert (len(stream), at.defective[stream].sum()) == (100, 2)
    assert (len(measured), at.defective[measured].sum()) == (116, 18)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Tiles, as a detector sees them that has learnt next to nothing."""
    folder = tmp_path_factory.mktemp("line")
    data = make_parts(folder / "tiles", "tile", good=24, test_good=12, defective=12, size=64)
    train_bundle(data, folder / "bundle", config=TrainConfig(size=48), budget=Budget(steps=2))
    with stage(folder / "bundle", [one for one in read_data(data) if one.split == "test"]) as at:
        yield at


def test_every_kind_of_question_can_be_replayed(seen: Stage) -> None:
    stream = np.arange(0, len(seen.records), 2)
    for strategy in ("mix", "random", *PEERS):
        asked = [now.asked.tolist() for now in replay(seen, stream, strategy, (4, 8), 0)]
        assert [len(set(rows)) for rows in asked] == [4, 8]
        assert set(asked[1]) <= set(stream.tolist())
        assert asked[1][:4] == asked[0]
        assert [now.asked.tolist() for now in replay(seen, stream, strategy, (4, 8), 0)] == asked


def test_decisions_from_memory_are_those_of_the_product(seen: Stage) -> None:
    detector: Any = seen.bundle.detector
    rng = np.random.default_rng(0)
    places = []
    for row in range(len(seen.records)):
        dense = detector.dense(seen.images.batch([row])).numpy()[0]
        mask = np.ones((8, 8), dtype=bool) if seen.defective[row] else None
        places.append(sample_places(dense, mask, rng))
    fallback = Fallback.fit(seen.embeddings, seen.defective, fit_head(places)).with_scale(Scale((0, 1), (1, 2)))
    folder = seen.bundle.fallback_folder("0001")
    folder.mkdir(parents=True)
    fallback.save(folder)
    first = seen.bundle.thresholds.current()
    version = seen.bundle.thresholds.add(first.model_copy(update={"fallback": "0001"}))
    threshold = seen.bundle.thresholds.get(version)
    scores, parts = decide(seen, threshold)
    expected = [one.decision_score for one in score_records(Bundle.load(seen.bundle.folder), seen.records)]
    assert scores == pytest.approx(expected, rel=1e-2, abs=1e-2)
    assert (scores == np.maximum(*[(part - c) / s for part, (c, s) in zip(parts, ((0, 1), (1, 2)), strict=True)])).all()
    seen.bundle.thresholds.use(first.version)


@pytest.mark.slow
def test_a_quick_run_prints_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curves.png"
    main(["--quick", "--splits", "1", "--line", "tile", "--json", "--plot", str(picture)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["answers_ratio_to_random_without_tuning"] is not None
    assert found["auroc_after_40"] is found["auroc_after_40_without_tuning"] is None  # of a data set alone
    assert set(found["line"]["image_auroc"]) == {"mix", "borderline", "random", *PEERS}
    challenger = found["line"]["challenger"]
    after = {strategy: list(curve) for strategy, curve in challenger["image_auroc"].items()}
    assert after == {"as many steps, no answers": ["0"], "mix": ["0", "20", "40"], "random": ["0", "40"]}
    assert challenger["trainings"] == 4
    # What is asked about does not hang on challengers.
    assert challenger["defects"]["mix"]["40"] == found["line"]["defects"]["mix"]["40"]
    assert picture.is_file()


@pytest.mark.slow
def test_a_quick_run_on_a_data_set_prints_both_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_parts(tmp_path / "tiles", "tile", good=40, test_good=48, defective=48, size=64)
    main(["--quick", "--data", str(data), "--skip-line", "--splits", "1", "--json"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    tuned, untuned = found["auroc_by_answers"], found["auroc_by_answers_without_tuning"]
    assert found["auroc_after_40"] == tuned["mix"]["40"]["mean"]
    assert found["auroc_after_40_without_tuning"] == untuned["mix"]["40"]["mean"]
    assert tuned["mix"]["0"] == untuned["mix"]["0"]
    assert len({curve["mean"] for curve in tuned["mix"].values()}) == 3
    for name in ("left_out_recall_change", "left_out_recall_change_without_tuning"):
        assert found[name]["low"] <= found[name]["mean"]


def test_without_challengers_there_is_nothing_to_say_of_them(seen: Stage) -> None:
    curves = run(seen, [halves(seen, 0)], ("random",), (4,))
    place: Any = summarise(curves) | {"name": "tile", "challenger": None}
    assert [table.row_count for table in tables({"data": place, "line": None})] == [1] * 4


def test_challengers_learn_from_the_answers_and_score_the_rows_that_are_measured(seen: Stage) -> None:
    stream, measured = halves(seen, 0)
    champion = Bundle.load(seen.bundle.folder)
    tuner = Tuner(champion, read_data(seen.records[0].path.parents[2]), 2)
    curves = run_tuned(seen, [(stream, measured)], {"random": [8]}, (4, 8), tuner)
    assert {strategy: list(found) for strategy, found in curves.items()} == {NO_ANSWERS: [0], "random": [0, 8]}
    assert len(tuner.seconds) == 2
    asked = list(replay(seen, stream, "random", (4, 8), 0))[-1].asked
    assert curves["random"][8][0]["defects"] == seen.defective[asked].sum()
    scores = tuner.scores(seen, asked, measured)
    assert measure(seen, scores, measured, 0.05).items() <= curves["random"][8][0].items()
    assert (scores[stream] == 0).all()
    with_nothing = tuner.scores(seen, asked[:0], measured)
    assert (with_nothing[measured] != scores[measured]).any()


def test_wrong_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--data", "nowhere"], "does not exist"),
        (["--skip-line"], "leaves nothing"),
        (["--challenger-after", "10", "20"], "with 40"),
        (["--challenger-after", "40", "80", "--quick"], "up to 40"),
        (["--challenger-steps", "-1"], "0 or more"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert said in capsys.readouterr().err
