"""An exported model says what its bundle says, or carries a promise of its own, and owns up to damage."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from learning.bundle import Bundle, by_group
from learning.config import TrainConfig
from learning.detectors import Budget, Traceable, reference
from learning.detectors.segment.detector import Segment
from learning.errors import BundleError, ExportError
from learning.evaluation import evaluate
from learning.export import packages
from learning.export.examples import find_parts, flawed_parts
from learning.export.graph import ONNX_FILE, openvino_core, read_openvino, write_onnx
from learning.export.parity import check_images
from learning.export.quantisation import outside_of_layers, store_in_8_bits
from learning.export.record import Format, Precision
from learning.export.writing import ExportSettings, export_bundle
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.map_range import MapRange
from learning.scoring import ImageScore, score_records
from learning.thresholds import Threshold, conformal_threshold
from learning.training import train_bundle
from synth.parts import make_parts
from tests.interrupting import HEEDING

INT8 = ExportSettings(Format.OPENVINO, Precision.INT8)

LEVELS = "learning.detectors.reference._LEVELS"
ALL_CORRECTIONS = reference._LEVELS
ONE_EACH = tuple((side, 1) for side, _ in ALL_CORRECTIONS)
"""Each correction of the pose is part of the graph: with one at each resolution, an export takes a third less time."""


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tiles"
    return make_parts(folder, "tile", good=24, test_good=3, defective=5, size=64)


def train(tiles: Path, out: Path, shares: dict[str, float] | None = None, **options: bool) -> Bundle:
    detector = {"widths": (8, 16), "batch": 4, **options}
    more = {"shares": shares} if shares else {}
    config = TrainConfig.model_validate({"detector": "segment", "size": 64, "detector_config": detector, **more})
    train_bundle(tiles, out, config=config, budget=Budget(steps=60))
    return Bundle.load(out)


@pytest.fixture(scope="module")
def trained(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """One that lays pictures over its reference, which is part of what is exported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LEVELS, ONE_EACH)
        yield train(tiles, tmp_path_factory.mktemp("bundles") / "trained", reference=True)


@pytest.fixture(scope="module")
def mirroring(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return train(tiles, tmp_path_factory.mktemp("bundles") / "mirroring", flips=True, reference=False)


@contextmanager
def traced_once(graph: bytes = b"") -> Iterator[None]:
    """For exports of one bundle: tracing takes half a minute, and its graph is the same whatever is made of it.

    Args:
        graph: What tracing gave before.
    """
    kept = [graph] if graph else []

    def trace(module: Traceable, preprocessing: Preprocessing, folder: Path) -> Path:
        if not kept:
            kept.append(write_onnx(module, preprocessing, folder).read_bytes())
        (folder / ONNX_FILE).write_bytes(kept[0])
        return folder / ONNX_FILE

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("learning.export.writing.write_onnx", trace)
        yield


@pytest.fixture(scope="module")
def exports(trained: Bundle, mirroring: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    root = tmp_path_factory.mktemp("exports")
    with traced_once():
        of_one = {
            "onnx": export_bundle(trained, root / "onnx", ExportSettings(Format.ONNX)),
            "openvino": export_bundle(trained, root / "openvino", ExportSettings(Format.OPENVINO)),
            "int8": export_bundle(trained, root / "int8", INT8),
        }
    return of_one | {
        "mirroring": export_bundle(mirroring, root / "mirroring", ExportSettings(Format.ONNX)),
        "once": export_bundle(mirroring, root / "once", ExportSettings(Format.ONNX, mirrors=False)),
    }


def scores(bundle: Bundle, data: Path) -> list[ImageScore]:
    found = list(score_records(bundle, [record for record in read_data(data) if record.split == "test"]))
    assert all(isinstance(one, ImageScore) for one in found)
    return found


@pytest.mark.parametrize(("name", "tolerance"), [("onnx", 1e-5), ("openvino", 1e-5), ("int8", 0.1)])
def test_scores_and_maps_are_those_of_the_bundle(
    name: str, tolerance: float, exports: dict[str, Bundle], trained: Bundle, tiles: Path
) -> None:
    for own, other in zip(scores(trained, tiles), scores(exports[name], tiles), strict=True):
        assert other.score == pytest.approx(own.score, abs=tolerance)
        np.testing.assert_allclose(other.map, own.map, atol=5 * tolerance)
        np.testing.assert_allclose(other.embedding, own.embedding, atol=50 * tolerance)


def test_parity_is_measured_and_kept(exports: dict[str, Bundle], trained: Bundle) -> None:
    for name in ("onnx", "openvino", "int8"):
        record = Bundle.load(exports[name].folder).manifest.export
        assert record is not None
        assert record.source == trained.fingerprint
        assert record.parity.good >= 5
        assert 0 < record.parity.flawed <= record.parity.good
        assert record.parity.auroc is not None
        assert record.parity.exported_auroc == pytest.approx(record.parity.auroc, abs=0.1)
        assert "Exported" in (exports[name].folder / "card.md").read_text()
    assert exports["int8"].manifest.export.calibrated_on > 0
    assert exports["int8"].manifest.export.parity.largest_score_difference > 1e-4


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_equal_scores_keep_the_thresholds_byte_for_byte(name: str, exports: dict[str, Bundle], trained: Bundle) -> None:
    assert exports[name].manifest.export.threshold == "kept"
    for file in trained.thresholds.folder.iterdir():
        assert (exports[name].folder / "thresholds" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ["int8", "once"])
def test_other_scores_get_a_promise_of_their_own(name: str, exports: dict[str, Bundle], trained: Bundle) -> None:
    exported = exports[name]
    assert exported.manifest.export.threshold == "anew"
    before, after = trained.thresholds.current().promise, exported.thresholds.current()
    assert (after.promise.limit, after.promise.confidence) == (before.limit, before.confidence)
    paths = [Path(image) for image in exported.calibration["image"]]
    images = ImageSet(paths, exported.preprocessing)
    prediction = exported.detector.predict(images.batch(range(len(images))))
    assert exported.calibration["score"].tolist() == prediction.scores.tolist()
    assert after.value == conformal_threshold(by_group(exported.calibration), before.limit)[0]
    for one in (trained, exported):
        held_out = ImageSet([Path(image) for image in one.selection["image"]], one.preprocessing)
        shown = MapRange()
        shown.add(one.detector.predict(held_out.batch(range(len(held_out)))).maps)
        assert one.map_range == pytest.approx(shown.ends(), rel=1e-4)


def test_without_mirrors_an_image_is_looked_at_once(exports: dict[str, Bundle], trained: Bundle, tiles: Path) -> None:
    image = ImageSet([record.path for record in read_data(tiles)][:1], trained.preprocessing).batch([0])
    mirrored = exports["mirroring"].detector.predict(image).maps
    torch.testing.assert_close(
        exports["mirroring"].detector.predict(image.flip(-2, -1)).maps.flip(-2, -1), mirrored, rtol=0, atol=1e-5
    )
    once = exports["once"].detector.predict(image).maps
    turned = exports["once"].detector.predict(image.flip(-2, -1)).maps.flip(-2, -1)
    assert not torch.allclose(turned, once, atol=1e-4)


@pytest.mark.parametrize("levels", [ONE_EACH, pytest.param(ALL_CORRECTIONS, marks=pytest.mark.slow)])
def test_reference_and_departure_are_part_of_the_graph(
    tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: tuple[tuple[int, int], ...]
) -> None:
    monkeypatch.setattr(LEVELS, levels)
    trained = train(
        tiles, tmp_path / "trained", shares={"train": 0.5, "selection": 0.3, "calibration": 0.2}, reference=True
    )
    assert isinstance(trained.detector, Segment)
    assert trained.detector.departure is not None
    exported = export_bundle(trained, tmp_path / "openvino", ExportSettings(Format.OPENVINO))
    images = ImageSet([record.path for record in read_data(tiles)][:3], trained.preprocessing).batch(range(3))
    expected, found = trained.detector.predict(images), exported.detector.predict(images)
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.maps, expected.maps, rtol=0, atol=1e-3)


def test_it_is_evaluated_and_named_as_a_model_of_its_own(
    exports: dict[str, Bundle], trained: Bundle, tiles: Path
) -> None:
    figures = evaluate(exports["openvino"], read_data(tiles))
    expected = evaluate(trained, read_data(tiles))
    assert figures["image_auroc"] == pytest.approx(expected["image_auroc"])
    assert figures["detector"] == "segment"
    assert len({bundle.fingerprint for bundle in (trained, *exports.values())}) == 1 + len(exports)


def test_no_file_holds_pickled_code(exports: dict[str, Bundle]) -> None:
    known = {".json", ".md", ".onnx", ".xml", ".bin", ".parquet", ".safetensors"}
    for exported in exports.values():
        assert {file.suffix for file in exported.folder.rglob("*") if file.is_file()} <= known


@pytest.mark.parametrize(
    ("name", "file"),
    [("onnx", "model.onnx"), ("openvino", "model.xml"), ("openvino", "model.bin"), ("int8", "calibration.parquet"),
     ("int8", "card.md"), ("int8", "bundle.json"), ("int8", "thresholds/0001.json")],
)  # fmt: skip
def test_a_flipped_byte_is_a_clear_error(name: str, file: str, exports: dict[str, Bundle], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exports[name].folder, copy)
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=r"damaged|checksum"):
        Bundle.load(copy).thresholds.current()


def test_what_is_there_is_not_replaced_by_accident(exports: dict[str, Bundle], trained: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="trained bundle"):
        export_bundle(trained, trained.folder, ExportSettings())
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="left alone"):
        export_bundle(trained, tmp_path, ExportSettings())
    with pytest.raises(ExportError, match="exported model itself"):
        export_bundle(exports["onnx"], tmp_path / "again", ExportSettings())


def test_an_export_that_fails_leaves_nothing(
    trained: Bundle, exports: dict[str, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("learning.export.writing.measure_parity", fail)
    graph = (exports["onnx"].folder / ONNX_FILE).read_bytes()
    with traced_once(graph), pytest.raises(KeyboardInterrupt):
        export_bundle(trained, tmp_path / "out", ExportSettings(Format.ONNX))
    assert list(tmp_path.iterdir()) == []


def test_a_detector_that_is_no_network_says_so(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="'stub' cannot be exported"):
        export_bundle(bundle, tmp_path / "out", ExportSettings())


def test_a_fallback_is_not_exported(trained: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.folder, copy)
    bundle = Bundle.load(copy)
    promise = bundle.thresholds.current().promise
    (copy / "fallbacks" / "0001").mkdir(parents=True)
    bundle.thresholds.add(Threshold(value=1.0, promise=promise, fallback="0001"))
    with pytest.raises(ExportError, match="supervised fallback"):
        export_bundle(bundle, tmp_path / "out", ExportSettings())


def test_moved_data_are_found_and_other_data_refused(trained: Bundle, tiles: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(tiles, moved)
    names = trained.embeddings("train")[0]
    found = find_parts(names, moved)
    assert all("train" in file.parts and file.is_relative_to(moved) for file in found)
    assert [file.read_bytes() for file in found] == [Path(name).read_bytes() for name in names]
    with pytest.raises(ExportError, match=r"not there any more.*--calibrate"):
        find_parts(["/nowhere/a.png"], None)
    with pytest.raises(ExportError, match="trained on"):
        find_parts(["/nowhere/a.png"], moved)


def test_images_that_are_not_what_they_were_are_refused(trained: Bundle) -> None:
    name, score = trained.calibration[["image", "score"]].iloc[0]
    check_images(trained, [name], np.array([score + 1e-4]))
    with pytest.raises(ExportError, match="is not the image that it was"):
        check_images(trained, [name], np.array([score + 0.1]))


@pytest.mark.parametrize(
    ("runtime", "precision", "message"),
    [
        (Format.TENSORRT, Precision.FP32, "no TensorRT on this machine"),
        (Format.ONNX, Precision.INT8, "for --format openvino only"),
    ],
)
def test_what_cannot_be_made_here_is_refused(runtime: Format, precision: Precision, message: str) -> None:
    if runtime is Format.TENSORRT and packages.has_tensorrt():
        pytest.skip("there is a TensorRT here")
    with pytest.raises(ExportError, match=message):
        packages.require_to_export(runtime, precision)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, exports: dict[str, Bundle]) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"openvino.*make env"):
        Bundle.load(exports["openvino"].folder)


def test_only_what_lies_between_layers_is_brought_to_int8(trained: Bundle, exports: dict[str, Bundle]) -> None:
    model = read_openvino(exports["onnx"].folder / ONNX_FILE, trained.preprocessing)
    outside = set(outside_of_layers(model))
    kinds: dict[str, set[bool]] = {}
    for operation in model.get_ordered_ops():
        kinds.setdefault(operation.get_type_name(), set()).add(operation.get_friendly_name() in outside)
    assert isinstance(trained.detector, Segment)
    assert trained.detector.reference is not None
    assert len(trained.detector.reference.usual.directions) > 0
    assert kinds["MatMul"] == {True}  # the nearest point of the subspace
    assert kinds["GridSample"] == {True}
    assert kinds["Sqrt"] == {True}  # local statistics, before the first layer
    assert kinds["Sigmoid"] == {True}  # probabilities, after the last
    assert kinds["Convolution"] == {False}
    assert kinds["MaxPool"] == {False}


def test_directions_are_stored_in_8_bits_and_ranges_pass_through_what_moves_values(exports: dict[str, Bundle]) -> None:
    trained = openvino_core().read_model(exports["int8"].folder / "model.xml")
    operations = trained.get_ordered_ops()
    products = [one for one in operations if one.get_type_name() == "MatMul"]
    assert len(products) == 2  # to the directions, and back
    for product in products:
        scaled = product.input_value(1).get_node()
        assert scaled.get_type_name() == "Multiply"
        stored = scaled.input_value(0).get_node().input_value(0)
        assert stored.get_element_type().get_type_name() == "i8"
        assert product.input_value(0).get_node().get_type_name() != "FakeQuantize"  # it is FP32 that they are taken by
    (moved,) = [one for one in operations if one.get_type_name() == "Transpose"]  # blocks of pixels into channels
    while moved.get_type_name() in ("Transpose", "Reshape"):
        moved = moved.input_value(0).get_node()
    assert moved.get_type_name() == "FakeQuantize"


def test_the_nearest_good_part_hardly_depends_on_the_8_bits() -> None:
    from openvino import Model, opset13

    generator = np.random.default_rng(0)
    directions = np.linalg.qr(generator.normal(size=(5_000, 8)))[0].T.astype(np.float32)
    part = (generator.normal(size=(1, 8)) * 50 @ directions + generator.normal(size=(1, 5_000))).astype(np.float32)
    given = opset13.parameter([1, 5_000], np.float32)
    along = opset13.matmul(given, opset13.constant(directions), False, True)
    found = opset13.matmul(along, opset13.constant(directions), False, False)
    model = Model([opset13.relu(found)], [given], "nearest")
    run = {"INFERENCE_PRECISION_HINT": "f32"}
    exact = openvino_core().compile_model(model, "CPU", run)(part)[0]
    for product in (along, found):
        store_in_8_bits(product)
    assert sum(one.get_output_element_type(0).get_type_name() == "i8" for one in model.get_ops()) == 2
    stored = openvino_core().compile_model(model, "CPU", run)(part)[0]
    assert float(exact.std()) > 0.5
    assert 0 < float(np.abs(stored - exact).mean()) < 0.01 * float(exact.std())


def test_flaws_for_ranges_follow_from_the_seed(trained: Bundle) -> None:
    images = ImageSet([Path(name) for name in trained.embeddings("train")[0]], trained.preprocessing)
    first, again, other = ([torch.cat(batch) for batch in flawed_parts(images, seed)] for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_nobody_is_told_of_an_export() -> None:
    """The makers of OpenVINO and NNCF would be told of every use."""
    code = (
        "from learning.export.quantisation import _import_nncf; _import_nncf()\n"
        "from nncf.telemetry import telemetry; print(type(telemetry).__name__)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "MagicMock"


def test_ctrl_c_after_exports_have_come_and_gone_is_no_crash(exports: dict[str, Bundle]) -> None:
    code = (
        HEEDING + "import gc, os, sys, torch\n"
        "from pathlib import Path\n"
        "from learning.bundle import Bundle\n"
        "loaded = [Bundle.load(Path(sys.argv[1])) for _ in range(2)]\n"
        "for one in loaded:\n"
        "    one.detector.predict(torch.rand(1, one.preprocessing.channels, 64, 64))\n"
        "del one\n"
        "while loaded:\n"
        "    loaded.pop(0)\n"
        "    gc.collect()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    command = [sys.executable, "-c", code, str(exports["openvino"].folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr
