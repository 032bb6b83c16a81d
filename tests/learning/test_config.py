"""Configurations: what is wrong is named, and what is allowed."""

from pathlib import Path

import pytest

from learning.config import TrainConfig, load_config
from learning.errors import ConfigError

OF_OTHERS = {"synthesis", "challenge"}
CONFIGS = [
    path for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")) if path.stem not in OF_OTHERS
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.yaml"


def test_an_empty_file_means_defaults(file: Path) -> None:
    file.write_text("# nothing\n")
    assert load_config(file) == TrainConfig()


def test_keys_arrive(stub: type, file: Path) -> None:
    file.write_text("detector: stub\ndetector_config: {gain: 2.0}\nsize: 64\nconfidence: 0.9\n")
    config = load_config(file)
    assert (config.detector, config.detector_config, config.size, config.confidence) == ("stub", {"gain": 2.0}, 64, 0.9)
    assert sum(config.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "detecter: glass",
            "detecter is not a key; keys are detector, detector_config, size, view, shares, confidence",
        ),
        (
            "detector: padim",
            "detector is 'padim': no detector is called 'padim'; there are: auto, autoencoder",
        ),
        ("confidence: 1.5", "confidence is 1.5: Input should be less than or equal to 0.999"),
        ("size: small", "size is 'small'.*integer"),
        ("shares: {train: 0.5, calibration: 0.5}", "train, selection, calibration, each above 0, adding up to 1"),
        ("shares: {train: 0.5, selection: 0.5, calibration: 0.5}", "adding up to 1"),
        (
            "detector: stub\ndetector_config: {gian: 2}",
            "detector_config.gian is not a key; keys are detector_config.gain",
        ),
        ("detector: stub\ndetector_config: {gain: high}", "detector_config.gain is 'high'.*number"),
        ("- a\n- b", "keys and values"),
        ("a: [", "not YAML"),
    ],
)
def test_mistakes_name_file_key_and_what_is_allowed(stub: type, file: Path, text: str, reason: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"x\.yaml.*{reason}") as refused:
        load_config(file)
    assert "\n" not in str(refused.value)


def test_a_file_that_does_not_exist(file: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(file)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrainConfig().size = 3  # type: ignore[misc]


@pytest.mark.parametrize("shipped", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_is_valid(shipped: Path) -> None:
    load_config(shipped)


def test_configurations_are_shipped() -> None:
    assert "segment.yaml" in [path.name for path in CONFIGS]


def test_regions_are_read_beside_the_file_and_survive_the_bundle(file: Path) -> None:
    (file.parent / "dirt.png").touch()
    file.write_text("regions: {ignore: [{mask: dirt.png}], products: {'*/bolt/*': {include: [{box: [0, 0, 1, 0.5]}]}}}")
    config = load_config(file)
    assert config.regions.ignore[0].mask == file.parent / "dirt.png"
    (file.parent / "dirt.png").unlink()
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ConfigError, match=r"there is no file .*dirt\.png; masks are looked for beside"):
        load_config(file)
    file.write_text("regions: {ignored: []}")
    with pytest.raises(ConfigError, match=r"regions\.ignored is not a key; keys are regions\.include, regions\.ignore"):
        load_config(file)
