"""``flawsmith curate check`` and its report: whole from a folder to a page, and what a person does wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from curation.ledger import ImageEntry, Ledger
from integrations.cli import app
from integrations.report.charts import counts
from tests.curation.quality.made import SIDE, part, parts, save
from tests.integrations.markup import Balance


def check(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["curate", "check", *(str(argument) for argument in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MVTec's layout with a duplicate across the split, a damaged file, a bright picture and a wrong mask."""
    root = tmp_path_factory.mktemp("parts")
    parts(root / "train" / "good", 40)
    (root / "train" / "good" / "damaged.png").write_bytes(b"no picture")
    save(root / "train" / "good" / "<bright>.png", (part(99) + 0.4).clip(0, 1))
    save(root / "test" / "good" / "a.png", part(70))
    Image.open(root / "train" / "good" / "003.png").save(root / "test" / "good" / "again.jpg", quality=85)
    save(root / "test" / "scratch" / "b.png", part(71))
    save(root / "ground_truth" / "scratch" / "b_mask.png", np.zeros((SIDE, SIDE)))
    return root


def test_the_page_is_whole_and_has_a_picture_of_everything(data: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    result = check(data, "--out", tmp_path / "q.html", "--home", tmp_path / "home", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (
        found["counts"].items() >= {"leak": 1, "near_duplicate": 1, "unreadable": 1, "mask": 1, "too_bright": 1}.items()
    )
    assert [Path(name).name for name in found["findings"]["leak"][0]["images"]] == ["003.png", "again.jpg"]
    assert found["statistics"][0]["images"] == 45
    page = (tmp_path / "q.html").read_text()
    markup = Balance()
    markup.feed(page)
    assert markup.open == []
    assert len(markup.images) >= 5
    assert all(source.startswith("data:image/jpeg;base64,") for source in markup.images)
    assert "cannot be read" in page
    assert "&lt;bright&gt;.png" in page
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_a_second_run_measures_nothing_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--out", tmp_path / "q.html", "--home", tmp_path / "home", "--json")
    first = json.loads(check(data, *options).stdout)
    monkeypatch.setattr("curation.quality.measure.measure_pixels", lambda pixels: pytest.fail("measured again"))
    assert json.loads(check(data, *options).stdout) == first


def test_a_stopped_run_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from curation.quality import table
    from curation.quality.measure import Measured, measure

    looked: list[Path] = []

    def stopped(path: Path) -> Measured:
        looked.append(path)
        if len(looked) > 30:
            raise KeyboardInterrupt
        return measure(path)

    monkeypatch.setattr(table, "_KEPT", 8)
    monkeypatch.setattr(table, "measure", stopped)
    options = ("--out", tmp_path / "q.html", "--home", tmp_path / "home")
    assert check(data, *options).exit_code == 130
    assert not (tmp_path / "q.html").exists()
    again: list[Path] = []
    monkeypatch.setattr(table, "measure", lambda path: again.append(path) or measure(path))
    assert check(data, *options).exit_code == 0
    assert len(again) <= 45 - 8


def test_findings_become_tags_that_go_when_the_finding_goes(tmp_path: Path) -> None:
    records = parts(tmp_path / "parts")
    bright = save(tmp_path / "parts" / "bright.png", (part(99) + 0.4).clip(0, 1))
    options = ("--out", tmp_path / "q.html", "--home", tmp_path / "home", "--ledger", tmp_path / "parts.db")
    with Ledger.open(tmp_path / "parts.db") as ledger:
        ids = ledger.add_images([ImageEntry(path=path) for path in (bright, records[0].path)])
        ledger.add_tag(ids[0], "mine", "ana")
    assert check(tmp_path / "parts", *options).exit_code == 0
    with Ledger.open(tmp_path / "parts.db") as ledger:
        assert {"mine", "check:too_bright"} <= {row.tag for row in ledger.tags(ids[0])}
        assert ledger.tags(ids[1]) == []
    # Among others like it, it is ordinary.
    for at in range(40):
        save(tmp_path / "parts" / f"bright{at}.png", (part(200 + at) + 0.4).clip(0, 1))
    assert check(tmp_path / "parts", *options).exit_code == 0
    with Ledger.open(tmp_path / "parts.db") as ledger:
        assert {row.tag for row in ledger.tags(ids[0])} == {"mine"}


def test_of_a_plain_folder_full_of_defects_the_oddest_are_shown_first(tmp_path: Path) -> None:
    """So many that none is an outlier; nobody has said what is good, or what belongs together."""
    parts(tmp_path / "parts", 26)
    for at in range(14):
        spoilt = part(300 + at)
        row, column = np.random.default_rng(at).integers(10, SIDE - 30, 2)
        spoilt[row : row + 3, column : column + 18] = 0.95
        save(tmp_path / "parts" / f"spoilt{at}.png", spoilt)
    result = check(tmp_path / "parts", "--out", tmp_path / "q.html", "--home", tmp_path, "--json")
    found = json.loads(result.stdout)
    first = [Path(name).stem for name in found["least_like_the_others"][:14]]
    assert sum(name.startswith("spoilt") for name in first) >= 12
    assert f"look at these first, they are least like the others: {first[0]}.png" in result.stderr
    page = (tmp_path / "q.html").read_text()
    assert page.index("Least like the others") < page.index(f"<b>{first[0]}.png")
    assert "no label, taken for good" in page
    assert "unlabelled" not in page
    # One word about groups, whatever else is said.
    assert not found["groups_known"]
    assert "independent group" not in page
    assert "each counted as independent" in page


def test_one_picture(tmp_path: Path) -> None:
    save(tmp_path / "parts" / "only.png", part(0))
    result = check(tmp_path / "parts", "--out", tmp_path / "q.html", "--home", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["counts"] == {}
    assert "Nothing was found" in (tmp_path / "q.html").read_text()


def test_only_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.png").write_bytes(b"")
    result = check(tmp_path / "parts", "--out", tmp_path / "q.html", "--home", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["counts"] == {"unreadable": 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("nowhere",), "no such file or folder"),
        (("empty",), "holds no images"),
        (("parts", "--bundle", "empty"), "not a bundle"),
        (("parts", "--ledger", "none.db"), "no ledger there"),
        (("parts", "--out", "empty"), "is a folder"),
        (("parts", "--groups", "none.csv"), "does not exist"),
        (("parts", "--home", "spoilt"), "the file is something else; delete it"),
    ],
)
def test_mistakes_are_one_line(
    options: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("parts/a.png"), part(0))
    Path("empty").mkdir()
    Path("spoilt").mkdir()
    Path("spoilt/quality.db").write_text("no database" * 100)
    result = check(*options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr


def test_a_chart_of_one_value_and_of_none() -> None:
    assert counts([0.5, 0.5, float("nan")], "same").count("<rect") == 40
    assert counts([float("nan")], "none") == ""
