"""What has to hold for every detector in the registry."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from learning.acceleration import describer, exact
from learning.detectors import DETECTORS, Budget, Detector, create, detector_class
from learning.errors import ConfigError, ExportError
from learning.export.detector import ExportedDetector
from learning.export.graph import read_openvino, write_onnx, write_openvino
from learning.export.record import Format
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.loop import precision
from synth.families.base import Context
from synth.image_level import Recipe, Synthesizer
from synth.regions import Regions, Shape
from synth.sources.defects import Defect, DefectBank
from tests.devices import needs_cuda

SIDE = 48

SMALL: dict[str, dict[str, Any]] = {
    "segment": {"widths": (8, 16), "batch": 4},
    "glass": {"backbone": {"name": "resnet10t", "levels": (1, 2)}, "width": 16, "batch": 2, "places": 64},
    "patchcore": {"backbone": {"name": "resnet10t", "levels": (1, 2)}, "batch": 4, "places": 128},
    "kmeans": {"backbone": {"name": "resnet10t", "levels": (1, 2)}, "batch": 4, "places": 128, "clusters": 4},
    "birch": {"backbone": {"name": "resnet10t", "levels": (1, 2)}, "batch": 4, "places": 128, "subclusters": 8},
    "autoencoder": {"widths": (4, 8), "code": 4, "batch": 4},
    "ganomaly": {"latent": 8, "width": 4, "batch": 4},
    "dcgan": {"latent": 8, "width": 4, "batch": 4},
    "supervised": {"patch": 32, "decoder": (16, 8, 8, 8, 4), "batch": 2},
    "flow": {"backbone": {"name": "resnet10t", "levels": (1,)}, "components": 6, "blocks": 2, "hidden": 8, "batch": 2},
}
"""Options that make a detector quick; one without an entry is tried with its defaults."""

EXPORTED: dict[str, dict[str, Any]] = {"segment": {"reference": False}}
"""Options for the export alone: the graph of a reference takes five times as long to trace, and test_export has one."""

FLAWED = sorted(name for name in DETECTORS if detector_class(name).learns_from_flaws)
"""Detectors in whose training made-up flaws take part."""

_MASK = torch.zeros(1, 12, 12)
_MASK[:, 3:9, 3:9] = 1
DEFECT = Defect(0.5 - 0.3 * _MASK, _MASK, torch.tensor([0.5]), torch.tensor([0.02]), 1.0, SIDE, "a", "b", "c")

every_detector = pytest.mark.parametrize("name", sorted(DETECTORS))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    random = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(10)]
    for path in paths:
        surface = (
            120 + 20 * np.sin(np.arange(SIDE) / 3 + random.uniform(0, 6))[None] + random.normal(0, 6, (SIDE, SIDE))
        )
        Image.fromarray(surface.clip(0, 255).astype(np.uint8)).save(path)
    return paths


def sets(parts: list[Path]) -> tuple[ImageSet, ImageSet]:
    preprocessing = Preprocessing(channels=1, height=SIDE, width=SIDE)
    return ImageSet(parts[:7], preprocessing), ImageSet(parts[7:], preprocessing)


def fitted(
    name: str, parts: list[Path], seed: int = 0, budget: Budget | None = None, device: str = "cpu", **options: Any
) -> Detector:
    train, selection = sets(parts)
    detector = create(name, SMALL.get(name, {}) | options, train.preprocessing, device)
    report = detector.fit(train, selection, seed, budget or Budget(steps=2), sources=sources_for(name))
    assert report.weights in ("scratch", "random", "pretrained", "file")
    assert report.steps >= 1
    assert report.precision == (precision(device) if report.history else None)
    assert budget is not None or report.steps == 2
    return detector


def sources_for(name: str) -> FlawSources:
    """A confirmed defect for detectors that cannot do without."""
    return FlawSources(DefectBank((DEFECT,))) if detector_class(name).needs_defects else NO_SOURCES


@pytest.fixture(scope="module")
def detectors(parts: list[Path]) -> dict[str, Detector]:
    return {name: fitted(name, parts) for name in DETECTORS}


def images(parts: list[Path]) -> Tensor:
    return sets(parts)[0].batch(range(5))


@every_detector
def test_it_says_how_anomalous_and_where(name: str, parts: list[Path], detectors: dict[str, Detector]) -> None:
    prediction = detectors[name].predict(images(parts))
    assert prediction.scores.shape == (5,)
    assert prediction.maps.shape == (5, SIDE, SIDE)
    assert prediction.scores.dtype == prediction.maps.dtype == torch.float32
    assert torch.isfinite(prediction.scores).all()
    assert torch.isfinite(prediction.maps).all()
    assert detectors[name].name == name


@every_detector
def test_a_batch_gives_what_its_images_give_one_by_one(
    name: str, parts: list[Path], detectors: dict[str, Detector]
) -> None:
    detector, batch = detectors[name], images(parts)
    together, embedded = detector.predict(batch), detector.embed(batch)
    for i in range(len(batch)):
        alone = detector.predict(batch[i : i + 1])
        torch.testing.assert_close(alone.scores[0], together.scores[i], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(alone.maps[0], together.maps[i], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(detector.embed(batch[i : i + 1])[0], embedded[i], rtol=1e-3, atol=1e-4)


@every_detector
def test_embeddings_differ_between_parts(name: str, parts: list[Path], detectors: dict[str, Detector]) -> None:
    embedded = detectors[name].embed(images(parts))
    assert embedded.shape[0] == 5
    assert embedded.ndim == 2
    assert torch.isfinite(embedded).all()
    assert not torch.allclose(embedded[0], embedded[1])


@every_detector
def test_saved_and_loaded_it_says_the_same(
    name: str, parts: list[Path], detectors: dict[str, Detector], tmp_path: Path
) -> None:
    detectors[name].save(tmp_path)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]
    loaded = create(name, SMALL.get(name, {}), sets(parts)[0].preprocessing).load(tmp_path)
    expected, prediction = detectors[name].predict(images(parts)), loaded.predict(images(parts))
    assert torch.equal(prediction.scores, expected.scores)
    assert torch.equal(prediction.maps, expected.maps)
    assert torch.equal(loaded.embed(images(parts)), detectors[name].embed(images(parts)))


@every_detector
def test_exported_it_says_the_same_or_refuses(
    name: str, parts: list[Path], detectors: dict[str, Detector], tmp_path: Path
) -> None:
    batch = images(parts)
    detector = fitted(name, parts, **EXPORTED[name]) if name in EXPORTED else detectors[name]
    if type(detector).exportable is Detector.exportable:
        with pytest.raises(ExportError, match="cannot be exported"):
            detector.exportable()
        return
    expected, embedded = detector.predict(batch), detector.embed(batch)
    onnx = write_onnx(detector.exportable(), detector.preprocessing, tmp_path)
    write_openvino(read_openvino(onnx, detector.preprocessing), tmp_path)
    for runtime in (Format.ONNX, Format.OPENVINO):
        exported = ExportedDetector(runtime, detector.preprocessing).load(tmp_path)
        prediction = exported.predict(batch)
        torch.testing.assert_close(prediction.scores, expected.scores, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(prediction.maps, expected.maps, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(exported.embed(batch), embedded, rtol=1e-3, atol=1e-3)


@needs_cuda
@every_detector
def test_trained_on_a_gpu_it_says_the_same_there_and_on_the_cpu(name: str, parts: list[Path], tmp_path: Path) -> None:
    there = fitted(name, parts, device="cuda")
    there.save(tmp_path)
    here = create(name, SMALL.get(name, {}), sets(parts)[0].preprocessing).load(tmp_path)
    batch = images(parts)
    with exact():
        found, embedded = there.predict(batch), there.embed(batch)
    expected = here.predict(batch)
    torch.testing.assert_close(found.scores.cpu(), expected.scores, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.maps.cpu(), expected.maps, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(embedded.cpu(), here.embed(batch), rtol=1e-3, atol=1e-3)


@needs_cuda
@every_detector
def test_replayed_on_a_gpu_it_says_the_same(name: str, parts: list[Path]) -> None:
    detector = fitted(name, parts, device="cuda")
    describe = describer(detector)
    for batch in (images(parts), images(parts)[:1], images(parts)[1:4]):
        with exact():
            expected, embedded = detector.predict(batch), detector.embed(batch)
        scores, maps, embeddings = describe(batch)
        torch.testing.assert_close(scores, expected.scores.cpu(), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(maps, expected.maps.cpu(), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(embeddings, embedded.cpu(), rtol=1e-3, atol=1e-3)


@every_detector
def test_same_seed_and_steps_give_the_same_weights_byte_for_byte(
    name: str, parts: list[Path], detectors: dict[str, Detector], tmp_path: Path
) -> None:
    def weights(detector: Detector, folder: str) -> bytes:
        (tmp_path / folder).mkdir()
        detector.save(tmp_path / folder)
        return (tmp_path / folder / "weights.safetensors").read_bytes()

    first = weights(detectors[name], "first")
    torch.rand(3)  # what ran before must not matter
    assert weights(fitted(name, parts), "second") == first
    assert weights(fitted(name, parts, seed=1), "other") != first


@every_detector
def test_it_stops_by_itself_within_its_minutes(name: str, parts: list[Path]) -> None:
    started = time.monotonic()
    fitted(name, parts, budget=Budget(minutes=0.02))
    # A step that has begun may end; nothing here takes longer than a few seconds.
    assert time.monotonic() - started < 1.2 + 6


@every_detector
def test_an_unknown_key_is_refused(name: str, parts: list[Path]) -> None:
    with pytest.raises(ConfigError, match="no_such_key"):
        create(name, {"no_such_key": 1}, sets(parts)[0].preprocessing)


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - set(FLAWED)))
def test_what_would_be_ignored_is_refused(name: str, parts: list[Path]) -> None:
    train, selection = sets(parts)
    detector = create(name, SMALL.get(name, {}), train.preprocessing)
    with pytest.raises(ConfigError, match=f"{name} learns from good parts alone"):
        detector.fit(train, selection, 0, Budget(steps=1), sources=FlawSources(DefectBank((DEFECT,))))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="no detector is called"):
        create("nonesuch", {}, Preprocessing(channels=1, height=8, width=8))


@pytest.mark.parametrize("name", FLAWED)
def test_training_flaws_keep_to_the_regions(name: str, parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    apply = Synthesizer.apply

    def recorded(images: Tensor, recipe: Recipe, context: Context) -> tuple[Tensor, Tensor]:
        flawed, masks = apply(images, recipe, context)
        assert context.foreground is not None
        seen.append((context.foreground, masks))
        return flawed, masks

    monkeypatch.setattr(Synthesizer, "apply", staticmethod(recorded))
    preprocessing = Preprocessing(channels=1, height=SIDE, width=SIDE)
    half = Regions(include=(Shape(box=(0, 0, 0.5, 1)),))
    train = ImageSet(parts, preprocessing, regions=half)
    create(name, SMALL.get(name, {}), preprocessing).fit(train, train, 0, Budget(steps=2), sources=sources_for(name))
    assert seen
    for allowed, masks in seen:
        # Mirrored and moved with the picture, but a half it stays.
        assert 0.35 < allowed.mean() < 0.65
        assert not (masks * (1 - allowed)).any()
