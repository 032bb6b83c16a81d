"""``flawsmith synth`` as a person meets it."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.integrations.cli.running import mistake, run


def test_synth_writes_images_and_masks(tiles: Path, tmp_path: Path) -> None:
    result = run("synth", tiles / "train" / "good", "--n", 3, "--out", tmp_path / "flawed", "--format", "mvtec")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "flawed" / "images").iterdir())) == 3
    assert len(list((tmp_path / "flawed" / "masks").iterdir())) == 3
    assert "as it was written" in run("synth", "--verify", tmp_path / "flawed").stderr
    next((tmp_path / "flawed" / "masks").iterdir()).write_bytes(b"")
    spoilt = run("synth", "--verify", tmp_path / "flawed")
    assert spoilt.exit_code == 2
    assert "has changed" in spoilt.stderr
    again = run("synth", tiles / "train" / "good", "--n", 3, "--out", tmp_path / "flawed", "--format", "mvtec")
    assert "lost or damaged: 1 of the set's images" in again.stderr
    assert "as it was written" in run("synth", "--verify", tmp_path / "flawed").stderr


def test_synth_says_where_no_part_was_found(tmp_path: Path) -> None:
    wall = np.random.default_rng(0).integers(60, 200, (64, 64), dtype=np.uint8)
    Image.fromarray(wall).save(tmp_path / "wall.png")
    result = run("synth", tmp_path / "wall.png", "--n", 2, "--out", tmp_path / "flawed", "--families", "blob, crack")
    assert result.exit_code == 0, result.output
    assert "on 2 of 2 no part could be told from its background" in result.stderr


def test_synth_takes_no_defective_parts_for_good_ones(tiles: Path, tmp_path: Path) -> None:
    assert f"name its good ones: {tiles / 'train' / 'good'}" in mistake("synth", tiles, "--out", tmp_path / "out")
    good = tiles / "train" / "good"
    assert "take flawed images for good parts" in mistake("synth", good, "--out", good / "flawed")
    assert not (good / "flawed").exists()


def test_synth_takes_a_configuration_and_says_what_is_wrong_in_it(tiles: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("regions: {include: [{box: [0, 0, 0.02, 0.02]}]}\n")
    command = ("synth", tiles / "train" / "good", "--n", 1, "--out", tmp_path / "flawed", "--config", config)
    assert "no pixel is left for flaws" in mistake(*command)
    config.write_text("familys: []\n")
    assert "mine.yaml: familys is not a key; keys are families" in mistake(*command)
    assert "no flaw family" in mistake("synth", tiles, "--out", tmp_path / "x", "--families", "scrtch")
    assert "name good parts and a folder" in mistake("synth")


def test_synth_reports_how_real_it_looks(tiles: Path, bundle: Path, tmp_path: Path) -> None:
    asked = ("synth", tiles / "train" / "good", "--n", 4, "--out", tmp_path / "flawed", "--bundle", bundle)
    report = tmp_path / "report.html"
    result = run(*asked, "--report", report, "--confirmed", tiles)
    assert result.exit_code == 0, result.output
    assert "kernel distance between real and synthetic" in " ".join(result.stderr.split())
    assert "Real defects covered" in report.read_text(encoding="utf-8")
    result = run(*asked, "--report", report)
    assert "cannot be judged yet" in " ".join(result.stderr.split())
    assert "no ledger there" in run(*asked, "--report", report, "--ledger", tmp_path / "no.db").stderr
    assert "no confirmed defects" in run(*asked, "--report", report, "--confirmed", tmp_path).stderr


def test_synth_checks_what_the_report_needs_before_it_makes_anything(tiles: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "flawed", tmp_path / "report.html"
    asked = ("synth", tiles / "train" / "good", "--n", 2, "--out", out, "--report")
    (tmp_path / "empty").mkdir()
    for wrong, says in [
        ((report, "--bundle", tmp_path / "none"), "not a bundle"),
        ((report, "--ledger", tmp_path / "no.db"), "no ledger there"),
        ((report, "--confirmed", tmp_path / "none"), "no such file or folder"),
        ((report, "--confirmed", tmp_path / "empty"), "no confirmed defects"),
        ((tmp_path,), "is a folder; name an HTML file"),
    ]:
        assert says in mistake(*asked, *wrong)
        assert not out.exists()


def test_synth_that_is_refused_leaves_no_folder_behind_that_it_made(tiles: Path, tmp_path: Path) -> None:
    good = next((tiles / "train" / "good").iterdir())
    (tmp_path / "broken.png").write_bytes(good.read_bytes()[:60])
    for out in (tmp_path / "made", tmp_path / "there"):
        if out.name == "there":
            out.mkdir()
        assert "cannot be read" in mistake("synth", tmp_path / "broken.png", "--n", 1, "--out", out)
        assert out.exists() == (out.name == "there")


def test_synth_refuses_what_it_could_not_heed(tiles: Path, tmp_path: Path) -> None:
    good = tiles / "train" / "good"
    for option in ("--bundle", "--confirmed"):
        told = mistake("synth", good, "--out", tmp_path / "out", option, tmp_path / "nowhere")
        assert f"{option} is for the report" in told
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    assert "is a file; name a folder" in mistake("synth", good, "--out", tmp_path / "file")
