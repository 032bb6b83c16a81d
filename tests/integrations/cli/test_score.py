"""``flawsmith score``: what is scored, and what is said of the rest."""

import csv
from pathlib import Path

from integrations.cli.console import SOME_FAILED
from tests.integrations.cli.running import mistake, run


def test_score_lists_a_corrupt_image_and_scores_the_others(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt.png"
    corrupt.write_bytes(next((tiles / "test" / "good").iterdir()).read_bytes()[:200])
    out, maps = tmp_path / "scores.csv", tmp_path / "maps"
    result = run("score", bundle, tiles / "test", corrupt, "--out", out, "--maps", maps)
    assert result.exit_code == SOME_FAILED
    assert "corrupt.png" in result.stderr
    assert result.stdout == ""
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 11
    assert all(Path(row["map"]).is_file() for row in rows)
    assert {row["decision"] for row in rows} <= {"accept", "reject"}


def test_score_lists_what_a_table_names_and_is_gone_and_scores_the_others(
    bundle: Path, tiles: Path, tmp_path: Path
) -> None:
    table, out = tiles / "some.csv", tmp_path / "scores.csv"
    names = [image.relative_to(tiles).as_posix() for image in sorted((tiles / "test" / "good").iterdir())[:3]]
    table.write_text("image,lot\n" + "".join(f"{name},7\n" for name in (names[0], "test/good/gone.png", *names[1:])))
    command = ("score", bundle, table, "--out", out, "--ledger", tmp_path / "l.db", "--home", tmp_path / "home")
    for _ in ("first", "what is in the ledger already"):
        result = run(*command)
        assert result.exit_code == SOME_FAILED
        assert "not scored:" in result.stderr
        assert "gone.png" in result.stderr
        with out.open() as stream:
            assert [row["part"] for row in csv.DictReader(stream)] == names
    table.write_text("image\ngood/gone.png\ngood/too.png\n")
    assert "names files that do not exist: good/gone.png, good/too.png; paths are relative" in mistake(*command)
    table.unlink()


def test_score_takes_any_folders_and_leaves_masks_out(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    images = sorted((tiles / "test").rglob("*.png"))
    for place, image in enumerate(images):
        copy = tmp_path / "photos" / f"lot{place % 2}" / "day" / f"{place}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(image.read_bytes())
    result = run("score", bundle, tmp_path / "photos", "--groups", "lot[0-9]")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert len({row["image"] for row in rows}) == len({row["part"] for row in rows}) == len(images)
    assert {row["group"] for row in rows} == {"lot0", "lot1"}
    rows = list(csv.DictReader(run("score", bundle, tiles).stdout.splitlines()))
    assert rows
    assert not [row for row in rows if "ground_truth" in row["image"]]


def test_a_folder_without_images_keeps_no_others_from_being_scored(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    night = tmp_path / "night"
    (night / "camera 2").mkdir(parents=True)
    result = run("score", bundle, night, tiles / "test" / "good")
    assert result.exit_code == 0, result.output
    assert f"no images in {night}" in "".join(result.stderr.split("\n"))
    assert len(list(csv.DictReader(result.stdout.splitlines()))) == 4
    assert "no images in" in mistake("score", bundle, night)
    assert "no images in" in mistake("score", bundle, night / "camera 2", night)
