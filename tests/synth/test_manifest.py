import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.families import Context
from synth.image_level import Flaw, Recipe, Synthesizer
from synth.manifest import (
    SCHEMA,
    ManifestInfo,
    ManifestRow,
    Painted,
    Provenance,
    paint_and_record,
    read_manifest,
    read_manifest_info,
    replay,
    write_manifest,
)

PROVENANCE = Provenance("a", "parts/a.png", sources=["parts/c.png", "parts/d.png"], seed=3)


def textured(channels: int = 1, side: int = 64) -> Tensor:
    return 0.3 + 0.4 * torch.rand(channels, side, side, generator=Generator().manual_seed(0))


def painted(image: Tensor, recipe: Recipe, foreground: Tensor | None = None) -> Painted:
    sources = torch.rand(2, *image.shape, generator=Generator().manual_seed(1))
    return paint_and_record(image, recipe, Context(foreground, sources), PROVENANCE)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), channels=st.sampled_from([1, 3]))
def test_pixels_of_the_flaws_are_the_mask_and_rows_describe_them(seed: int, channels: int) -> None:
    image = textured(channels)
    recipe = Synthesizer(flaws_per_image=(1, 4)).draw(Generator().manual_seed(seed), 1)
    made = painted(image, recipe)
    mask = made.mask[0].numpy() > 0
    changed = ((made.image * 255).round() - (image * 255).round()).abs().amax(dim=0) >= 3
    assert np.array_equal(mask, changed.numpy())
    assert np.array_equal(np.logical_or.reduce(made.instances), mask)
    assert len(made.rows) == len(made.instances) == len(recipe.flaws())
    for row, instance in zip(made.rows, made.instances, strict=True):
        assert row.area == instance.sum()
        assert row.severity == json.loads(row.parameters)["severity"]
        if row.area:
            ys, xs = np.nonzero(instance)
            assert (row.left, row.top, row.right, row.bottom) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            assert row.change > 0
            assert abs(row.contrast) <= 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_rows_replay_to_the_pixel_and_in_double_precision_within_a_level(seed: int) -> None:
    image = textured()
    recipe = Synthesizer().draw(Generator().manual_seed(seed), 1)
    made = painted(image, recipe)
    context = Context(None, torch.rand(2, *image.shape, generator=Generator().manual_seed(1)))
    again, mask = replay(image, made.rows, context)
    assert torch.equal(again, made.image)
    assert torch.equal(mask, made.mask)
    assert context.sources is not None
    precise, _ = replay(image.double(), made.rows, Context(None, context.sources.double()))
    assert (precise - made.image).abs().max() <= 1 / 255


def one(family: str, seed: int = 3) -> Recipe:
    return Synthesizer([family], (1, 1)).draw(Generator().manual_seed(seed), 1)


def of(family: str, **changed: object) -> Recipe:
    (flaw,) = one(family).flaws()
    return Recipe.from_flaws([Flaw(0, 0, family, {**flaw.parameters, **changed})], 1)


def scratch(depth: float, middle: tuple[float, float] = (0.5, 0.5)) -> Recipe:
    place = {"middle": list(middle), "number": 1, "angle": 0.0, "bend": 0.0}
    return of("scratch", depth=depth, width=0.05, length=0.5, wander=0.0, fading=0.0, burr=0.0, **place)


@pytest.mark.parametrize(("depth", "sign"), [(-0.6, -1), (0.6, 1)])
def test_contrast_is_against_the_surroundings_and_change_against_what_was_there(depth: float, sign: int) -> None:
    image = torch.full((1, 64, 64), 0.5)
    (row,) = painted(image, scratch(depth)).rows
    assert sign * row.contrast == pytest.approx(row.change, abs=0.01)
    # On a part that is bright only where the scratch is, it hardly stands out though it changed as much.
    lit = image.clone()
    flawed = painted(image, scratch(-0.6))
    lit[:, flawed.mask[0] > 0] = 0.8
    (hidden,) = painted(lit, scratch(-0.6)).rows
    assert abs(hidden.contrast) < 0.5 * hidden.change


def test_contrast_looks_past_other_flaws_and_what_is_not_the_part() -> None:
    image = torch.full((1, 64, 64), 0.5)
    part = torch.zeros(1, 1, 64, 64)
    part[..., 8:56, 8:56] = 1
    image[:, part[0, 0] == 0] = 0.0
    (flaw,) = scratch(-0.6).flaws()
    (alone,) = painted(image, Recipe.from_flaws([flaw], 1), part).rows
    # A bright scratch along the first one covers half of the ring around it.
    beside = replace(scratch(0.9, (0.5, 0.65)).flaws()[0], order=1)
    both = painted(image, Recipe.from_flaws([flaw, beside], 1), part).rows
    assert alone.contrast == pytest.approx(-alone.change, abs=0.02)
    assert both[1].top - both[0].bottom < 2
    assert both[0].contrast == pytest.approx(alone.contrast, abs=0.02)


@pytest.mark.parametrize(
    ("recipe", "content", "source"),
    [
        (of("scratch"), "own", ""),
        (of("patch", source=0.0), "part", "parts/c.png"),
        (of("patch", source=0.99), "part", "parts/d.png"),
        (of("perlin", content=1, source=0.6), "part", "parts/d.png"),
    ],
)
def test_what_a_flaw_shows_is_named(recipe: Recipe, content: str, source: str) -> None:
    (row,) = painted(textured(), recipe).rows
    assert (row.content, row.content_source) == (content, source)


def test_a_patch_without_other_parts_is_of_its_own_image() -> None:
    made = paint_and_record(textured(), one("patch"), Context(), replace(PROVENANCE, sources=[]))
    assert (made.rows[0].content, made.rows[0].content_source) == ("part", "parts/a.png")


def test_a_manifest_survives_the_disk_and_says_who_wrote_it(tmp_path: Path) -> None:
    rows = [row for seed in range(40) for row in painted(textured(), one("blob", seed)).rows]
    write_manifest(rows, tmp_path / "m.parquet", ManifestInfo(settings={"severity": [0, 1]}))
    assert read_manifest(tmp_path / "m.parquet") == rows
    info = read_manifest_info(tmp_path / "m.parquet")
    assert (info.schema, info.settings) == (SCHEMA, {"severity": [0, 1]})
    assert info.version
    # Anyone's reader will do.
    frame = pd.read_parquet(tmp_path / "m.parquet")
    assert list(frame["area"]) == [row.area for row in rows]
    write_manifest([replace(row, image=f"i{n}") for n, row in enumerate(rows)], tmp_path / "m.parquet")
    assert [row.image for row in read_manifest(tmp_path / "m.parquet", "i7")] == ["i7"]


def test_what_is_no_manifest_or_another_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="does not exist"):
        read_manifest(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(SynthError, match="cannot be read as Parquet"):
        read_manifest(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(SynthError, match="no manifest of flawsmith: its columns are a"):
        read_manifest(tmp_path / "other.parquet")
    write_manifest([], tmp_path / "old.parquet")
    table = pq.read_table(tmp_path / "old.parquet")
    old = {b"flawsmith": json.dumps({"version": "0.0.1", "schema": 1, "settings": {}}).encode()}
    pq.write_table(table.replace_schema_metadata(old), tmp_path / "old.parquet")
    with pytest.raises(SynthError, match=r"schema 1, by flawsmith 0\.0\.1"):
        read_manifest(tmp_path / "old.parquet")


def test_replay_takes_one_image() -> None:
    rows: list[ManifestRow] = painted(textured(), one("blob")).rows
    with pytest.raises(SynthError, match="one image, not of 2"):
        replay(textured(), [*rows, replace(rows[0], image="b")])
    with pytest.raises(SynthError, match="one image, not of 0"):
        replay(textured(), [])
