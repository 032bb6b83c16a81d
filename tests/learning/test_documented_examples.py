"""The Python examples of docs/synthesis.md run as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "synthesis.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
STEPS = "budget=Budget(steps=200)"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    folder = tmp_path / "photos" / "good"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(16):
        Image.fromarray(random.integers(90, 160, (140, 150), np.uint8)).save(folder / f"{i:02}.png")


def test_the_page_shows_both_levels_of_synthesis() -> None:
    assert [word for word in ("Synthesizer()", "synthesise_global(", "fit_feature_discriminator(")
            if not any(word in example for example in EXAMPLES)] == []  # fmt: skip


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example: str) -> None:
    if "fit_feature_discriminator(" in example:
        assert STEPS in example
        example = example.replace(STEPS, "budget=Budget(steps=2)")  # as many steps as it takes to see that it runs
    names: dict[str, object] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    if "prediction" in names:
        assert names["prediction"].maps.shape == (4, 128, 128)  # type: ignore[attr-defined]
    else:
        assert names.keys() & {"flawed", "anomalies"}
