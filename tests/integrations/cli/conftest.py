"""Parts made up for the command line, and a bundle trained on them."""

from pathlib import Path

import pytest

from tests.integrations.cli.running import run


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "tiles"
    result = run(
        "parts", "--kind", "tile", "--out", folder, "--good", 24, "--test-good", 4, "--defective", 7, "--size", 64
    )
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def bundle(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    config = root / "small.yaml"
    # Without its reference, which tests of the detector have, tracing for an export takes a fifth of the time.
    config.write_text("size: 64\ndetector_config: {reference: false}\n")
    result = run("train", tiles, "--out", root / "tile", "--config", config, "--steps", 2, "--device", "cpu")
    assert result.exit_code == 0, result.output
    return root / "tile"
