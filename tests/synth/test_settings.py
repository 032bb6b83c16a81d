from pathlib import Path

import pytest
import torch

from synth.configuration import read_config
from synth.errors import SynthError
from synth.families import FAMILIES
from synth.settings import SynthesisSettings

SHIPPED = Path(__file__).parents[2] / "configs" / "synthesis.yaml"


def read(tmp_path: Path, text: str) -> SynthesisSettings:
    (tmp_path / "mine.yaml").write_text(text)
    return read_config(tmp_path / "mine.yaml", SynthesisSettings)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("familys: {}", r"familys is not a key; keys are families, severity"),
        ("families: {scratc: {}}", r"scratc is no flaw family; there are .*scratch"),
        ("families: {scratch: {lenght: [1, 2]}}", r"scratch\.lenght is not a key; keys are .*scratch\.length"),
        ("families: {scratch: {length: [2, 1]}}", r"scratch\.length is \[2, 1\]: the least comes first"),
        ("families: {scratch: {length: 3}}", r"scratch\.length is 3: Input should be a valid tuple"),
        ("families: {scratch: {length: [0, 1]}}", r"scratch cannot be drawn from .*begin above 0"),
        ("families: {scratch: {length: [-1, 1]}}", r"scratch cannot be drawn from .*begin above 0"),
        ("families: {scratch: {weight: -1}}", r"families\.scratch\.weight is -1: .*greater than or equal to 0"),
        ("families: {scratch: {weight: 0}}", r"no weight above 0"),
        ("families: {}", r"families"),
        ("severity: [0.5, 0.2]", r"severity is \[0\.5, 0\.2\]: the least comes first"),
        ("severity: [0, 2]", r"severity\.1 is 2: .*less than or equal to 1"),
        ("severity: 2", r"severity is 2: takes the least and the greatest, such as \[0, 1\]"),
        ("severity: [1]", r"severity is \[1\]: takes the least and the greatest"),
        ("flaws_per_image: 2", r"flaws_per_image is 2: takes the least and the greatest"),
        (
            "regions: {ignore: [{mask: gone.png}]}",
            r"regions\.ignore\.0\.mask is 'gone\.png': there is no file .*gone\.png",
        ),
        ("flaws_per_image: [0, 2]", r"flaws_per_image\.0 is 0"),
        ("regions: {includ: []}", r"regions\.includ is not a key; keys are regions\.include, regions\.ignore"),
        ("regions: {include: [{bx: 1}]}", r"regions\.include\.0\.bx is not a key; keys are regions\.include\.0\.box"),
        ("sources: {texture: x}", r"sources\.texture is not a key; keys are sources\.parts, sources\.textures"),
        ("visibility: {area: 0}", r"visibility\.area is 0"),
        ("[1, 2]", r"must hold keys and values"),
        ("a: [", r"is not YAML"),
    ],
)
def test_mistakes_name_file_key_and_what_is_allowed(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SynthError, match=rf"mine\.yaml.*{says}"):
        read(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="does not exist"):
        read_config(tmp_path / "none.yaml", SynthesisSettings)


def test_weights_and_ranges_are_drawn_from(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "families: {scratch: {weight: 9, length: [0.5, 0.6]}, blob: , crack: {weight: 0}}\n"
        "severity: [0.2, 0.4]\nflaws_per_image: [2, 2]\n",
    )
    assert settings.names == ["scratch", "blob"]
    flaws = settings.synthesizer().draw(torch.Generator().manual_seed(0), 200).flaws()
    assert len(flaws) == 400
    scratches = [flaw.parameters for flaw in flaws if flaw.family == "scratch"]
    assert 0.8 < len(scratches) / len(flaws) < 0.98
    assert all(0.49 <= scratch["length"] <= 0.61 for scratch in scratches)
    assert all(0.2 <= flaw.parameters["severity"] <= 0.4 for flaw in flaws)


def test_names_alone_and_nothing_at_all(tmp_path: Path) -> None:
    assert read(tmp_path, "families: [blob, scratch]").names == ["blob", "scratch"]
    assert read(tmp_path, "") == SynthesisSettings()
    assert set(SynthesisSettings().names) <= set(FAMILIES)


def test_settings_survive_being_written_down(tmp_path: Path) -> None:
    (tmp_path / "m.png").touch()
    settings = read(
        tmp_path,
        "families: {scratch: {length: [0.1, 0.2]}}\nregions: {include: [{box: [0, 0, 0.5, 1]}, {mask: m.png}]}",
    )
    again = SynthesisSettings.model_validate_json(settings.model_dump_json())
    assert again == settings
    assert again.regions.include[1].mask == tmp_path / "m.png"


def test_some_families_keep_their_settings(tmp_path: Path) -> None:
    settings = read(tmp_path, "families: {scratch: {length: [0.1, 0.2]}, blob: {}}").only(["scratch", "crack"])
    assert settings.names == ["scratch", "crack"]
    assert settings.families is not None
    assert settings.families["scratch"].model_extra == {"length": (0.1, 0.2)}
    with pytest.raises(SynthError, match="no flaw family nothing"):
        settings.only(["nothing"])
    with pytest.raises(SynthError, match="no flaw family is named"):
        settings.only([])


def test_the_shipped_configuration_is_what_holds_without_one() -> None:
    shipped = read_config(SHIPPED, SynthesisSettings)
    assert shipped.model_copy(update={"families": None}) == SynthesisSettings()
    assert shipped.names == SynthesisSettings().names
