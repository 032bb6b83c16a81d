"""The command line as a person meets it: help, mistakes, and the steps of the loop on parts made up for it."""

import csv
import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import SafetensorError

from integrations.cli.console import SOME_FAILED
from tests.integrations.cli.running import mistake, run

COMMANDS = [
    *("demo", "parts", "synth", "train", "score", "evaluate", "clusters", "export", "threshold"),
    *("curate", "review", "retrain", "doctor", "explain"),
]
NESTED = (
    ("curate", "sync"),
    ("curate", "synthetic"),
    ("curate", "check"),
    ("curate", "open"),
    ("review", "push"),
    ("review", "pull"),
    ("review", "status"),
    ("review", "add"),
    ("retrain", "challenger"),
    ("retrain", "status"),
    ("retrain", "rollback"),
    ("retrain", "shadow"),
    ("retrain", "sets"),
    ("retrain", "compare"),
    ("retrain", "publish"),
)


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("words", [*((name,) for name in COMMANDS), *NESTED], ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    if words not in {("curate",), ("review",)}:
        assert "Example" in result.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = "torch fiftyone label_studio_sdk mlflow prefect pandas sqlalchemy timm kornia lightning"
    code = (
        "import sys; from integrations.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"sys.exit(' '.join(m for m in '{heavy}'.split() if m in sys.modules) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_clusters_are_drawn_and_other_detectors_have_none(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text("size: 64\ndetector: kmeans\ndetector_config: {places: 400, backbone: {name: resnet10t}}\n")
    run("train", tiles, "--out", tmp_path / "clustered", "--config", config, "--steps", 2, "--device", "cpu")
    result = run("clusters", tmp_path / "clustered", tiles, "--out", tmp_path / "clusters.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "clusters.png").stat().st_size > 1000
    assert "holds segment, which has no clusters" in mistake("clusters", bundle, tiles)


def test_evaluate_prints_one_json_object(bundle: Path, tiles: Path) -> None:
    result = run("evaluate", bundle, tiles, "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    wanted = (
        "image_auroc image_auroc_by_class pixel_auroc aupro false_reject_rate false_reject_rate_interval escape_rate "
        "escape_rate_interval ms_per_image n_good n_defective weights"
    )
    assert set(wanted.split()) <= set(figures)
    assert (figures["n_good"], figures["n_defective"]) == (4, 7)
    assert "image AUROC" in run("evaluate", bundle, tiles).stdout
    assert figures["n_left_out"] == 0


def test_evaluate_says_what_it_leaves_out_of_class_folders(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    classes = shutil.copytree(tiles / "test", tmp_path / "classes")  # no split, and nothing that the bundle has seen
    result = run("evaluate", bundle, classes, "--json")
    figures = json.loads(result.stdout)
    assert "--all" in result.stderr
    assert figures["n_left_out"] > 0
    assert figures["n_good"] + figures["n_defective"] + figures["n_left_out"] == 11
    result = run("evaluate", bundle, classes, "--json", "--all")
    figures = json.loads(result.stdout)
    assert "left out" not in result.stderr
    assert (figures["n_good"], figures["n_defective"], figures["n_left_out"]) == (4, 7, 0)
    # What made the bundle is refused, whatever is said.
    table = tmp_path / "table.csv"
    good, bad = sorted((tiles / "train" / "good").iterdir()), sorted((tiles / "test").glob("*/*.png"))
    listed = [*((one, "good") for one in good), *((one, "crack") for one in bad if one.parent.name != "good")]
    table.write_text("image,label\n" + "".join(f"{path},{label}\n" for path, label in listed))
    assert "made this bundle" in mistake("evaluate", bundle, table, "--all")
    # A data set that has a split keeps it.
    assert json.loads(run("evaluate", bundle, tiles, "--json", "--all").stdout)["n_good"] == 4


def test_evaluate_shows_the_pictures_behind_the_figures(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    result = run("evaluate", bundle, tiles, "--pictures", tmp_path / "sheets" / "tiles.png", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n_defective"] == 7
    classes = len(json.loads(result.stdout)["image_auroc_by_class"]) + 1
    with Image.open(tmp_path / "sheets" / "tiles.png") as sheet:
        assert sheet.height > 2 * classes * 176
    (tmp_path / "file").touch()
    assert "cannot be written" in mistake("evaluate", bundle, tiles, "--pictures", tmp_path / "file" / "tiles.png")


def test_an_exported_bundle_is_scored_and_evaluated_like_a_bundle(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    result = run("export", bundle, "--out", out, "--format", "onnx", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["parity"]["largest_score_difference"] < 1e-4
    auroc = [json.loads(run("evaluate", model, tiles, "--json").stdout)["image_auroc"] for model in (bundle, out)]
    assert auroc[0] == pytest.approx(auroc[1])
    assert run("score", out, tiles / "test", "--out", tmp_path / "scores.csv").exit_code == 0
    assert "TensorRT" in mistake("export", bundle, "--out", tmp_path / "other", "--format", "tensorrt")
    model = out / "model.onnx"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(bytes(content))
    assert "model.onnx is damaged" in mistake("score", out, tiles / "test")


def test_score_into_a_ledger_twice_records_once_and_explain_tells(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    from curation.ledger import Ledger

    ledger, home = tmp_path / "line.db", tmp_path / "home"
    for _ in range(2):
        result = run("score", bundle, tiles / "test", "--ledger", ledger, "--home", home, "--batch", "monday")
        assert result.exit_code == 0, result.output
        assert len(result.stdout.strip().splitlines()) == 12
    with Ledger.open(str(ledger)) as opened:
        assert len(opened.scores(latest=False)) == 11
        (model,) = opened.models()
        images, embeddings = opened.embeddings(model.model_id)
        assert len(images) == len(embeddings) == 11

    image = next((tiles / "test" / "good").iterdir())
    told = run("explain", image, "--ledger", ledger).stdout
    assert "like good part" in told
    assert "with 95 % confidence" in told
    assert json.loads(run("explain", image, "--ledger", ledger, "--json").stdout)["nearest_good"]
    assert json.loads(run("review", "status", "--ledger", ledger, "--json").stdout)["waiting"] == 0

    unknown = next((tiles / "train" / "good").iterdir())
    assert "flawsmith score" in mistake("explain", unknown, "--ledger", ledger)
    assert "has seen none there" in mistake("explain", tmp_path / "nothing.png", "--ledger", ledger)
    content = image.read_bytes()
    image.unlink()
    try:
        told = run("explain", image, "--ledger", ledger).stdout
    finally:
        image.write_bytes(content)
    assert "with 95 % confidence" in told
    assert "the picture is gone" in told


def test_what_was_lost_beside_a_ledger_comes_back_by_scoring_again(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    from curation.ledger import Ledger
    from curation.ledger.files import image_id_of

    ledger, home = tmp_path / "line.db", tmp_path / "home"
    score = ("score", bundle, tiles / "test", "--ledger", ledger, "--home", home)
    assert run(*score, "--maps", tmp_path / "maps").exit_code == 0
    with Ledger.open(str(ledger)) as opened:
        before = opened.scores(latest=False)
        (model,) = opened.models()
        whole = dict(zip(*opened.embeddings(model.model_id), strict=True))
    (file,) = (home / "embeddings" / model.model_id).iterdir()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    lost = Path(str(before[0].map_path))
    picture = lost.read_bytes()
    lost.unlink()
    # A picture that is gone cannot be scored again; the others can.
    gone = next(one for one in sorted((tiles / "test").rglob("*.png")) if image_id_of(one) != before[0].image_id)
    kept, missing = gone.read_bytes(), image_id_of(gone)
    gone.unlink()
    try:
        assert run(*score).exit_code == 0
    finally:
        gone.write_bytes(kept)
    assert lost.read_bytes() == picture
    with Ledger.open(str(ledger)) as opened:
        assert opened.scores(latest=False) == before
        ids, embeddings = opened.embeddings(model.model_id)
    assert set(ids) == set(whole) - {missing}
    np.testing.assert_array_equal(embeddings, [whole[key] for key in ids])


def test_interrupted_scoring_goes_on(
    bundle: Path, tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.ledger import Ledger
    from integrations import recording

    monkeypatch.setattr(recording, "_CHUNK", 3)
    whole = recording.save_map
    written: list[Path] = []

    def ctrl_c(anomaly_map: object, path: Path, map_range: tuple[float, float]) -> None:
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path)
        whole(anomaly_map, path, map_range)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "save_map", ctrl_c)
    command = ("score", bundle, tiles / "test", "--ledger", tmp_path / "l.db", "--home", tmp_path)
    stopped = run(*command)
    assert stopped.exit_code == 130
    assert "run it again" in stopped.stderr
    assert len(stopped.stderr.strip().splitlines()) == 1
    with Ledger.open(str(tmp_path / "l.db")) as opened:
        assert len(opened.scores()) == 3

    monkeypatch.setattr(recording, "save_map", whole)
    assert run(*command).exit_code == 0
    with Ledger.open(str(tmp_path / "l.db")) as opened:
        assert len(opened.scores(latest=False)) == 11


def test_a_part_with_several_images_gets_one_decision(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    images = sorted((tiles / "test").rglob("*.png"))
    table = tmp_path / "stream.csv"
    table.write_text("image,part\n" + "".join(f"{image},part-{i % 2}\n" for i, image in enumerate(images)))
    result = run("score", bundle, table, "--ledger", tmp_path / "l.db", "--home", tmp_path)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert len(rows) == 11
    assert {len({row["decision"] for row in rows if row["part"] == part}) for part in ("part-0", "part-1")} == {1}


@pytest.mark.parametrize("command", ["train", "synth"])
def test_missing_and_empty_folders(command: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "nowhere" in mistake(command, tmp_path / "nowhere", "--out", tmp_path / "out")
    assert "no images" in mistake(command, tmp_path / "empty", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_configuration_names_file_key_and_what_is_allowed(tiles: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("sise: 64\n")
    message = mistake("train", tiles, "--out", tmp_path / "out", "--config", config)
    assert "mine.yaml" in message
    assert "sise" in message
    assert "size" in message
    assert "glass" in mistake("train", tiles, "--out", tmp_path / "out", "--detector", "magic")


def test_minutes_and_steps_exclude_each_other(tiles: Path, tmp_path: Path) -> None:
    assert "--steps" in mistake("train", tiles, "--out", tmp_path / "out", "--steps", 1, "--minutes", 1)


def test_train_says_how_auto_chose(tiles: Path, tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text("size: 64\n")
    command = ("train", tiles, "--out", tmp_path / "out", "--config", config, "--detector", "auto", "--steps", 1)
    result = run(*command)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert "auto chose segment: the first of the candidates, untried: comparing them takes 22" in said


def test_train_says_why_hidden_defects_are_not_looked_for(tiles: Path, tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text("size: 64\n")
    result = run("train", tiles, "--out", tmp_path / "out", "--config", config, "--clean", "--steps", 1)
    assert result.exit_code == 0, result.output
    assert "not looked for hidden defects: it takes 20 pictures" in " ".join(result.stderr.split())


def test_supervised_without_confirmed_defects_says_where_they_come_from(tiles: Path, tmp_path: Path) -> None:
    message = mistake("train", tiles, "--out", tmp_path / "out", "--detector", "supervised", "--steps", 1)
    assert "--defects BANK|LEDGER" in message
    assert not (tmp_path / "out").exists()


def test_train_leaves_a_folder_alone_that_is_no_bundle(tiles: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "not a bundle" in mistake("train", tiles, "--out", tmp_path, "--steps", 1)
    assert (tmp_path / "thesis.txt").exists()


def test_what_cannot_be_written_is_said_before_the_work(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("image")
    said = mistake("train", tiles, "--out", tmp_path / "table.csv" / "bundle", "--steps", 1)
    assert "it is a file" in said
    assert "choose another place" in said
    assert "scores.csv" in mistake("score", bundle, tiles, "--out", tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        SafetensorError("Error: I/O error (os error 28)"),
    ],
)
def test_a_full_disk_is_said_in_a_line(
    error: Exception, tiles: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = bundle.parent / "small.yaml"

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("learning.bundle.Bundle.write", fail)
    result = run("train", tiles, "--out", tmp_path / "b", "--config", small, "--steps", "1")
    assert result.exit_code == 2
    assert "the disk is full" in result.stderr
    assert "Traceback" not in result.stderr


def test_train_says_that_it_will_replace_a_bundle(tiles: Path, bundle: Path, tmp_path: Path) -> None:
    command = ("train", tiles, "--out", tmp_path / "b", "--config", bundle.parent / "small.yaml", "--steps", "1")
    assert "will be replaced" not in run(*command).stderr
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "will be replaced" in result.stderr


def test_a_flipped_byte_in_a_bundle_is_found(bundle: Path, tiles: Path, tmp_path: Path) -> None:

    damaged = shutil.copytree(bundle, tmp_path / "damaged")
    content = bytearray((damaged / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "weights.safetensors").write_bytes(content)
    assert "damaged" in mistake("score", damaged, tiles / "test" / "good")


def test_a_folder_that_is_no_bundle(tiles: Path) -> None:
    assert "flawsmith train" in mistake("evaluate", tiles, tiles)


@pytest.mark.parametrize(
    "words", [("review", "status"), ("review", "push"), ("review", "pull"), ("retrain",), ("curate", "sync")]
)
def test_a_ledger_that_is_not_there_is_not_made(words: tuple[str, ...], tmp_path: Path) -> None:
    assert "no ledger" in mistake(*words, "--ledger", tmp_path / "typo.db")
    assert not (tmp_path / "typo.db").exists()


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, but long enough to be looked at by one" * 20)
    assert "notes.db" in mistake("review", "status", "--ledger", tmp_path / "notes.db")


def test_retrain_without_verdicts_changes_nothing(bundle: Path, tiles: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "l.db"
    assert run("score", bundle, tiles / "test", "--ledger", ledger, "--home", tmp_path).exit_code == 0
    result = run("retrain", "--ledger", ledger, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["changed"] is False
    for costs in (("--cost-escape", 0), ("--cost-false-reject", "-1"), ("--cost-escape", "inf")):
        assert "costs must be above zero" in mistake("retrain", "--ledger", ledger, *costs)


def test_questions_that_cannot_be_chosen_as_asked_are_refused_before_anything_is_sent(
    bundle: Path, tiles: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "l.db"
    assert run("score", bundle, tiles / "test", "--ledger", ledger, "--home", tmp_path).exit_code == 0
    push = ("review", "push", "--ledger", ledger, "--home", tmp_path)
    assert "no strategy is called 'luck'" in mistake(*push, "--strategy", "luck")
    assert "no second opinion" in mistake(*push, "--strategy", "disagreement")
    assert "--per-day" in mistake(*push, "--inspectors", 2)
    assert json.loads(run("review", "status", "--ledger", ledger, "--json").stdout)["waiting"] == 0


def test_retrain_moves_the_threshold_by_verdicts(bundle: Path, tiles: Path, tmp_path: Path) -> None:

    from curation.ledger import Ledger, VerdictEntry

    own = shutil.copytree(bundle, tmp_path / "bundle [/x]")
    ledger = tmp_path / "l.db"
    assert run("score", own, tiles / "test", "--ledger", ledger, "--home", tmp_path).exit_code == 0
    with Ledger.open(str(ledger)) as opened:
        verdicts = [
            VerdictEntry(
                ask_id=None,
                image_id=image.image_id,
                inspector="ina",
                verdict="good" if image.path.parent.name == "good" else "defect",
                at="2026-01-31T10:15:00",
                source="test",
                external_id=image.image_id,
                revision="1",
            )
            for image in opened.images()
        ]
        assert len(opened.record_verdicts(verdicts)) == 11
    result = run("retrain", "--ledger", ledger, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["changed"] is True
    assert f"{own}:" in run("retrain", "--ledger", ledger).stderr
    with Ledger.open(str(ledger)) as opened:
        (model,) = opened.models()
        assert len(opened.thresholds(model.model_id)) >= 2
    again = run("score", own, tiles / "test", "--ledger", ledger, "--home", tmp_path)
    assert again.exit_code == 0, again.output


def test_doctor_reports_in_json(tmp_path: Path) -> None:
    result = run("doctor", "--json", "--home", tmp_path)
    findings = {entry["name"]: entry for entry in json.loads(result.stdout)["findings"]}
    assert findings["torch"]["ok"] is True
    assert findings["mongod"]["ok"] is True
    assert {"pretrained", "free space"} <= set(findings)


def test_doctor_names_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAWSMITH_LABEL_STUDIO_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FLAWSMITH_LABEL_STUDIO_TOKEN", "0" * 40)
    result = run("doctor", "--json", "--home", tmp_path)
    assert result.exit_code == SOME_FAILED
    wrong = [entry for entry in json.loads(result.stdout)["findings"] if entry["ok"] is False]
    assert any("127.0.0.1:9" in entry["text"] for entry in wrong)
