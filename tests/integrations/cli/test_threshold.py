"""``flawsmith threshold``: promises about good parts, about escapes and about costs."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.ledger import ImageEntry, Ledger, ScoreEntry, VerdictEntry
from learning.bundle import Bundle
from learning.thresholds import Threshold
from tests.integrations.cli.running import mistake, run


def test_threshold_moves_or_says_how_many_parts_it_takes(bundle: Path) -> None:
    refused = mistake("threshold", bundle, "--max-false-reject", 0.01)
    assert "299" in refused
    moved = run("threshold", bundle, "--max-false-reject", 0.6, "--json")
    assert moved.exit_code == 0, moved.output
    assert json.loads(moved.stdout)["promise"]["limit"] == 0.6
    looser = run("threshold", bundle, "--max-false-reject", 0.7)
    assert "looser promise than before: at most 60 %" in " ".join(looser.output.split())


def test_threshold_out_of_range(bundle: Path) -> None:
    assert "between 0 and 1" in mistake("threshold", bundle, "--max-false-reject", 7)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "say what to promise"),
        (["--max-escape", 0.1, "--max-false-reject", 0.1], "one threshold keeps one limit"),
        (["--review-zone", "--max-escape", 0.1], "takes both limits"),
        (["--costs", "escape=5,reject=1", "--max-escape", 0.1], "goes alone"),
        (["--costs", "escape=5"], "write it as escape=100,reject=1"),
        (["--costs", "escape=5,reject=1,reject=2"], "write it as escape=100,reject=1"),
        (["--max-escape", 0.1, "--ledger", "nowhere.db"], "no ledger there"),
    ],
)
def test_threshold_says_what_it_takes(bundle: Path, options: list[object], says: str) -> None:
    assert says in mistake("threshold", bundle, *options)


def test_threshold_promises_by_verdicts(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    own = shutil.copytree(bundle, tmp_path / "bundle")
    loaded = Bundle.load(own)
    version = loaded.thresholds.current().version
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / f"{i}.png" for i in range(60)]
    for i, path in enumerate(paths):
        Image.fromarray(np.full((4, 4), i, dtype=np.uint8)).save(path)
    ledger = tmp_path / "l.db"
    with Ledger.open(str(ledger)) as opened:
        ids = opened.add_images([ImageEntry(path=path) for path in paths])
        # Every other part is defective and scores far above the good ones.
        scores = [1000.0 + i if i % 2 else -1000.0 for i in range(60)]
        opened.record_scores(
            [ScoreEntry(key, loaded.fingerprint, version, s, s) for key, s in zip(ids, scores, strict=True)]
        )
        opened.record_verdicts(
            [
                VerdictEntry(None, key, "ina", "defect" if i % 2 else "good", "2026-01-31T10:15:00", "test", key, "1")
                for i, key in enumerate(ids)
            ]
        )
    asked = ("threshold", own, "--ledger", ledger)
    assert "are 0" in mistake(*asked, "--max-escape", 0.1)
    assert "60 parts that were not asked about" in mistake(*asked, "--costs", "escape=5,reject=1")
    random = (*asked, "--random-sample")
    assert "takes 59 independent defective parts; there are 30" in mistake(*random, "--max-escape", 0.05)
    result = run(*random, "--max-escape", 0.1, "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert 1000 < figures["value"] < 1001
    assert (figures["promise"]["kind"], figures["promise"]["groups"]) == ("escape", 30)
    assert figures["labelled"] | {"parts": 60, "defective": 30, "weighted": False} == figures["labelled"]
    assert "of good parts: at most" in run(*random, "--max-escape", 0.1).stderr
    assert "promises nothing about good parts" in mistake("retrain", "--ledger", ledger, "--bundle", own)
    zone = ("--review-zone", "--max-escape", 0.2, "--max-false-reject", 0.7, "--reading-error", 0.01)
    assert "a person decides above it and up to" in " ".join(run(*random, *zone).stderr.split())
    result = run(*random, "--costs", "escape=5,reject=1", "--json")
    assert json.loads(result.stdout)["promise"]["limit"] < 1
    # Parts between the two thresholds are taken off the line, and marked.
    loaded.thresholds.add(Threshold(value=-1e9, promise=loaded.thresholds.get(1).promise, review_up_to=1e9))
    result = run("score", own, next((tiles / "test" / "good").iterdir()))
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert (row["decision"], row["review"]) == ("reject", "True")
    assert "1 of those rejected are for a person to decide" in result.stderr
