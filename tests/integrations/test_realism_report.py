"""The realism report: one page that needs nothing else, whatever is confirmed; from a folder or from a ledger."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from curation.ledger import ImageEntry, Ledger, VerdictEntry
from integrations.realism import confirmed_defects, find_real, report_realism
from integrations.report.charts import distributions, intervals
from integrations.report.realism import render_realism_report
from learning.errors import DataError
from learning.images.preprocessing import Preprocessing
from learning.realism import Realism, find_confirmed, read_confirmed, read_synthetic
from learning.realism.judging import compare_in_space, in_words
from synth.dataset import write_dataset
from synth.settings import SynthesisSettings
from tests.integrations.markup import Balance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic set in ``flawed``, and five confirmed defects of class ``<spot>`` in ``confirmed``."""
    root = tmp_path_factory.mktemp("realism")
    rng = np.random.default_rng(0)

    def save(path: Path, pixels: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
        return path

    good = [save(root / "good" / f"{i}.png", rng.normal(120, 6, (48, 64))) for i in range(4)]
    write_dataset(good, root / "flawed", count=6, settings=SynthesisSettings().only(["blob", "scratch"]))
    for i in range(5):
        pixels, mask = rng.normal(120, 6, (48, 64)), np.zeros((48, 64))
        pixels[10 + i : 18 + i, 20:30] = 230
        mask[10 + i : 18 + i, 20:30] = 255
        save(root / "confirmed" / "test" / "<spot>" / f"{i}.png", pixels)
        save(root / "confirmed" / "ground_truth" / "<spot>" / f"{i}_mask.png", mask)
    return root


def dense(images: torch.Tensor) -> torch.Tensor:
    """Stands in for a detector."""
    return torch.cat([images, (images - images.roll(1, -1)).abs()], dim=1)


def realism(folder: Path, confirmed: int, with_space: bool = True) -> Realism:
    made = read_synthetic(folder / "flawed")
    real = read_confirmed(find_confirmed(folder / "confirmed")[:confirmed])
    size = Preprocessing(channels=1, height=48, width=48)
    space = compare_in_space(made.defects, real.defects, dense, size, "a stub") if with_space else None
    return Realism(made, real, space, in_words(real, space))


@pytest.mark.parametrize("confirmed", [0, 1, 2, 5])
@pytest.mark.parametrize("with_space", [False, True])
def test_a_report_is_one_well_formed_page_that_needs_nothing_else(
    folder: Path, confirmed: int, with_space: bool
) -> None:
    compared = realism(folder, confirmed, with_space)
    html = render_realism_report(compared)
    balance = Balance()
    balance.feed(html)
    assert balance.open == []
    assert len(balance.images) == (5 * confirmed if with_space else 0)
    assert all(image.startswith("data:image/jpeg;base64,") for image in balance.images)
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)
    assert "&lt;spot&gt;" in html or not balance.images
    assert "<spot>" not in html
    assert all(sentence.split("'")[0] in html for sentence in compared.sentences)


def test_a_folder_of_confirmed_defects_is_reported(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "below" / "report.html"
    real = find_real(confirmed=folder / "confirmed")
    report_realism(folder / "flawed", report, real)
    assert "5 confirmed defects on 5 parts" in report.read_text(encoding="utf-8")
    with pytest.raises(DataError, match="is a folder"):
        report_realism(folder / "flawed", tmp_path, real)


def test_confirmed_defects_come_from_the_ledger(folder: Path, tmp_path: Path) -> None:
    images = sorted((folder / "confirmed" / "test" / "<spot>").iterdir())[:4]
    mask = folder / "confirmed" / "ground_truth" / "<spot>" / "0_mask.png"
    said = [("defect", mask, "scratch"), ("defect", None, None), ("good", None, None), ("unsure", None, None)]
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ids = ledger.add_images([ImageEntry(image, group=f"g{i}") for i, image in enumerate(images)])
        ledger.record_verdicts(
            [
                VerdictEntry(
                    ask_id=None,
                    image_id=key,
                    inspector="eve",
                    verdict=verdict,  # type: ignore[arg-type]
                    at=datetime(2026, 1, 5, tzinfo=UTC),
                    source="test",
                    external_id=key,
                    revision="1",
                    regions_mask=regions,
                    defect_class=kind,
                )
                for key, (verdict, regions, kind) in zip(ids, said, strict=True)
            ]
        )
        found = sorted(confirmed_defects(ledger), key=lambda one: one.group)
        assert [(one.group, one.label, one.mask) for one in found] == [
            ("g0", "scratch", mask.resolve()),
            ("g1", "defect", None),
        ]
        compared = report_realism(folder / "flawed", tmp_path / "report.html", find_real(ledger=ledger))
    assert len(compared.real.defects) == 1
    assert compared.real.left_out == {"no mask": 1}
    assert compared.space is None
    assert "1 confirmed image has no mask" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_chart_counts_every_value() -> None:
    svg = distributions([0.1, 0.1, 0.9, 5.0], [0.5], np.linspace(0, 1, 5), [(0.0, "0")], "sizes")
    assert sum(int(share) for share in re.findall(r"<title>(\d+) %", svg)) == 100
    assert "polyline" in svg
    assert "polyline" not in distributions([0.1], [], np.linspace(0, 1, 5), [], "sizes")


def test_errors_are_drawn_where_there_are_some() -> None:
    assert intervals([], None, "none") == ""
    svg = intervals([("a", 0.2, 0.1), ("b", -0.1, None)], 0.05, "distances")
    assert svg.count('class="error"') == 1
    assert svg.count("<circle") == 2
    assert svg.count('class="band"') == 1
