"""A bundle's scores tell suspected defects, its embeddings near duplicates; both are asked for once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.quality import Cache, QualityReport, check_quality
from learning.images.records import GOOD, ImageRecord
from learning.scoring import ScoreFailure
from tests.curation.quality.made import names, parts


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands in for a bundle: what lies in ``scores`` is high, and all that was asked for is in ``asked``."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("{}")
    stub = SimpleNamespace(folder=tmp_path / "bundle", scores={}, asked=[], broken=set())

    def score(bundle: Any, records: Sequence[ImageRecord], progress: Any) -> Iterator[Any]:
        for record in records:
            stub.asked.append(record.path.name)
            if record.path.name in stub.broken:
                yield ScoreFailure(record, "broken")
                continue
            rng = np.random.default_rng(int(record.path.stem[:3]))
            embedding = rng.normal(0, 1, 32).astype(np.float32)
            yield SimpleNamespace(score=stub.scores.get(record.path.name, rng.normal(1, 0.1)), embedding=embedding)

    monkeypatch.setattr("curation.quality.scored.score_records", score)
    return stub


def checked(records: list[ImageRecord], folder: Path, bundle: Any) -> QualityReport:
    with Cache(folder / "cache.db") as cache:
        return check_quality(records, cache, bundle)


def test_a_high_score_among_the_good_is_suspected(tmp_path: Path, bundle: Any) -> None:
    records = parts(tmp_path / "parts")
    bundle.scores = {"007.png": 5.0}
    bundle.broken = {"011.png"}
    report = checked(records, tmp_path, bundle)
    assert report.suspects_by == "score"
    assert names(report, "suspect") == [{"007.png"}]
    assert report.judged["suspect"] == 39
    assert report.table.records[report.ranking[0]].path.name == "007.png"


def test_scores_are_asked_for_once(tmp_path: Path, bundle: Any) -> None:
    records = parts(tmp_path / "parts", 25)
    first = checked(records, tmp_path, bundle).to_json()
    assert len(bundle.asked) == 25
    assert checked(records, tmp_path, bundle).to_json() == first
    assert len(bundle.asked) == 25
    (bundle.folder / "bundle.json").write_text('{"another": 1}')
    checked(records, tmp_path, bundle)
    assert len(bundle.asked) == 50


def test_embeddings_propose_and_fine_detail_decides(tmp_path: Path, bundle: Any) -> None:
    records = parts(tmp_path / "parts", 40)
    Image.open(records[3].path).save(tmp_path / "parts" / "003_again.jpg", quality=85)
    # Embedded alike, and yet another scene.
    Image.open(records[5].path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "parts" / "006_other.png")
    records += [ImageRecord(tmp_path / "parts" / name, GOOD) for name in ("003_again.jpg", "006_other.png")]
    assert names(checked(records, tmp_path, bundle), "near_duplicate") == [{"003.png", "003_again.jpg"}]
