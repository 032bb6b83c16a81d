"""Bundles: whole or not at all, and never what they were not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from learning import training
from learning.bundle import Bundle, PartScores
from learning.card import model_card
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.errors import BundleError
from learning.images.preprocessing import PartView
from learning.images.readers import read_data
from learning.sealed import read_sealed, seal, write_sealed
from learning.thresholds import Threshold
from tests.stub import StubDetector

MakeBundle = Callable[..., Bundle]


def test_a_bundle_comes_back_as_it_was(bundle: Bundle) -> None:
    again = Bundle.load(bundle.folder)
    images = torch.rand(3, 1, 32, 32)
    assert torch.equal(again.detector.predict(images).scores, bundle.detector.predict(images).scores)
    assert again.manifest == bundle.manifest
    assert again.fingerprint == bundle.fingerprint
    assert again.preprocessing == bundle.preprocessing
    assert again.map_range == (0.0, 0.4)
    assert list(again.calibration.columns) == ["image", "part", "group", "score", "camera", "lot"]
    assert (len(again.calibration), len(again.selection)) == (8, 4)
    names, embedded = again.embeddings("train")
    assert embedded.shape == (12, 16)
    assert [Path(name).name for name in names[:2]] == ["00.png", "01.png"]
    current = again.thresholds.current()
    assert current.value == pytest.approx(again.calibration["score"].max())
    assert current.promise.groups == 8
    with pytest.raises(BundleError, match="calibration, selection, train"):
        again.embeddings("test")


def test_the_manifest_counts_what_trained_not_what_was_embedded(
    stub: type[StubDetector], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_MOST_EMBEDDED", 3)
    made = training.train_bundle(data, tmp_path / "made", config=TrainConfig(detector="stub"), budget=Budget(steps=1))
    good = [record for record in read_data(data) if record.split == "train"]
    assert len(made.embeddings("train")[0]) == 3
    assert sum(made.manifest.images.values()) == len(good)
    assert made.manifest.images["train"] > 3


def test_whoever_may_read_the_folder_may_read_its_files(bundle: Bundle) -> None:
    assert {file.stat().st_mode & 0o666 for file in bundle.folder.glob("*")} == {
        bundle.folder.stat().st_mode & 0o666 | 0o600
    }


def test_the_manifest_says_how_it_came_to_be(bundle: Bundle) -> None:
    manifest = json.loads((bundle.folder / "bundle.json").read_text())
    assert manifest["config"]["detector_config"] == {"gain": 1.0}
    assert manifest["weights"] == "scratch"
    assert manifest["steps"] == 1
    assert manifest["precision"] == "32-true"
    assert manifest["machine"]["threads"] == torch.get_num_threads()
    assert set(manifest["files"]) == {
        "weights.safetensors",
        "calibration.parquet",
        "selection.parquet",
        "embeddings.safetensors",
        "embeddings.parquet",
    }
    card = (bundle.folder / "card.md").read_text()
    assert bundle.fingerprint in card
    assert "from 8 independent calibration groups" in card
    assert "trained from random initialisation" in card
    assert "| Chosen hypothesis | manifold |" in card
    assert "- auroc: 0.9" in card


def test_one_seed_gives_one_model_and_one_name(make_bundle: MakeBundle, tmp_path: Path) -> None:
    first, second, other = (make_bundle(tmp_path / name, gain=gain) for name, gain in [("a", 1), ("b", 1), ("c", 2)])
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert first.manifest.files == second.manifest.files


@pytest.mark.parametrize(
    "name",
    [
        "bundle.json",
        "weights.safetensors",
        "calibration.parquet",
        "selection.parquet",
        "embeddings.safetensors",
        "embeddings.parquet",
        "thresholds/0001.json",
        "thresholds/current.json",
    ],
)
def test_a_flipped_byte_anywhere_is_found_and_the_file_named(bundle: Bundle, name: str) -> None:
    file = bundle.folder / name
    content = bytearray(file.read_bytes())
    for at in np.random.default_rng(0).integers(0, len(content), 6):
        if chr(content[at]).isspace():
            continue
        content[at] ^= 4
        file.write_bytes(content)
        with pytest.raises(BundleError, match=name.replace(".", r"\.")):
            Bundle.load(bundle.folder)
        content[at] ^= 4
    file.write_bytes(content)
    Bundle.load(bundle.folder)


@pytest.mark.parametrize(
    "name", ["bundle.json", "weights.safetensors", "calibration.parquet", "thresholds/current.json"]
)
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.folder / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.load(bundle.folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../outside", "..", "C:x", "a\\..\\b", "link"])
def test_files_outside_of_the_bundle_are_refused(bundle: Bundle, name: str) -> None:
    (bundle.folder.parent / "outside").write_bytes(b"")
    (bundle.folder / "link").symlink_to(bundle.folder.parent / "outside")
    file = bundle.folder / "bundle.json"
    manifest = json.loads(file.read_text())
    del manifest["sha256"]
    manifest["files"][name] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    file.write_text(json.dumps({**manifest, "sha256": seal(manifest)}))
    with pytest.raises(BundleError, match="outside"):
        Bundle.load(bundle.folder)
    with pytest.raises(BundleError, match="outside"):
        bundle.fallback_folder("../../x")


@pytest.mark.parametrize(("key", "value"), [("format", 99), ("unknown", 1), ("seed", "x"), ("detector", "gone")])
def test_bundles_of_other_versions_are_clear_errors(bundle: Bundle, key: str, value: object) -> None:
    file = bundle.folder / "bundle.json"
    manifest = json.loads(file.read_text())
    del manifest["sha256"]
    manifest[key] = value
    file.write_text(json.dumps({**manifest, "sha256": seal(manifest)}))
    with pytest.raises(BundleError, match="this version of flawsmith"):
        Bundle.load(bundle.folder)


def test_what_is_not_a_bundle_is_left_alone(make_bundle: MakeBundle, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_text("mine")
    with pytest.raises(BundleError, match="left alone"):
        make_bundle(tmp_path / "photos")
    assert (tmp_path / "photos/a.png").read_text() == "mine"
    with pytest.raises(BundleError, match="is not a bundle"):
        Bundle.load(tmp_path / "photos")
    with pytest.raises(BundleError, match="flawsmith train"):
        Bundle.load(tmp_path / "nowhere")


def test_a_bundle_is_replaced_whole(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(gain=1.0)
    bundle.thresholds.add(Threshold(value=9, promise=bundle.thresholds.current().promise))
    again = make_bundle(gain=2.0)
    assert Bundle.load(bundle.folder).fingerprint == again.fingerprint
    assert len(again.thresholds.all()) == 1
    assert [path.name for path in bundle.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_failure_while_writing_leaves_the_old_bundle(make_bundle: MakeBundle, stub: type, monkeypatch) -> None:
    bundle = make_bundle()

    def fail(self: object, folder: Path) -> None:
        (folder / "weights.safetensors").write_bytes(b"half")
        raise OSError("disk full")  # noqa: EM101

    monkeypatch.setattr(stub, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        make_bundle(gain=2.0)
    assert Bundle.load(bundle.folder).fingerprint == bundle.fingerprint
    assert [path.name for path in bundle.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_kill_between_the_two_renames_is_recovered_from(bundle: Bundle) -> None:
    bundle.folder.rename(bundle.folder.with_name(".bundle.replaced"))
    assert Bundle.load(bundle.folder).fingerprint == bundle.fingerprint


def test_a_bundle_can_be_moved(bundle: Bundle, tmp_path: Path) -> None:
    shutil.move(bundle.folder, tmp_path / "moved")
    assert Bundle.load(tmp_path / "moved").fingerprint == bundle.fingerprint


def test_scores_by_group_are_the_highest() -> None:
    scores = PartScores(["a", "b", "c"], ["p", "p", "q"], ["g2", "g2", "g1"], np.array([1.0, 3.0, 2.0]))
    assert scores.by_group().tolist() == [2.0, 3.0]


def test_a_fallback_is_checked_too(bundle: Bundle) -> None:
    file = bundle.fallback_folder("0001") / "fallback.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    promise = bundle.thresholds.current().promise
    bundle.thresholds.add(Threshold(value=1, promise=promise, fallback="0001"))
    assert Bundle.load(bundle.folder).thresholds.current().fallback == "0001"
    file.write_bytes(b"weightz")
    with pytest.raises(BundleError, match=r"fallback\.safetensors is damaged.*threshold 2"):
        Bundle.load(bundle.folder)
    file.unlink()
    with pytest.raises(BundleError, match="missing"):
        Bundle.load(bundle.folder)
    bundle.thresholds.add(Threshold(value=1, promise=promise, fallback="0002"))
    with pytest.raises(BundleError):
        Bundle.load(bundle.folder)


def test_a_bundle_from_before_views_loads_as_whole_under_its_old_name(bundle: Bundle) -> None:
    content = read_sealed(bundle.folder / "bundle.json")
    del content["preprocessing"]["part"], content["config"]["view"]
    write_sealed(bundle.folder / "bundle.json", content)
    old = Bundle.load(bundle.folder)
    assert old.preprocessing.view == "whole"
    assert old.fingerprint == bundle.fingerprint


def test_a_bundle_keeps_its_view(bundle: Bundle) -> None:
    manifest = bundle.manifest
    part = PartView(turn=True, reach=0.5)
    cut = manifest.model_copy(update={"preprocessing": manifest.preprocessing.model_copy(update={"part": part})})
    assert type(manifest).model_validate_json(cut.model_dump_json()).preprocessing.part == part
    assert cut.fingerprint() != manifest.fingerprint()
    assert "cut out of its picture, turned" in model_card(cut, bundle.thresholds.current().promise, 0.5)


def test_weights_of_another_network_are_refused_in_one_line(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        msg = "Error(s) in loading state_dict for UNet:\n\tMissing key(s)\n\tUnexpected key(s)"
        raise RuntimeError(msg)

    monkeypatch.setattr(type(bundle.detector), "load", load)
    with pytest.raises(BundleError, match="train again") as refused:
        Bundle.load(bundle.folder)
    assert "loading state_dict for UNet)" in str(refused.value)
    assert "\n" not in str(refused.value)
