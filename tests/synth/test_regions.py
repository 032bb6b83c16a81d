from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from synth.configuration import read_config
from synth.errors import SynthError
from synth.pictures import encode
from synth.regions import Area, Regions, Shape, confine


def test_boxes_and_polygons_in_fractions_fit_any_size() -> None:
    regions = Regions(include=(Shape(box=(0.25, 0, 0.75, 1)),), ignore=(Shape(polygon=((0, 0), (1, 0), (0, 1))),))
    for height, width in [(40, 40), (20, 80)]:
        allowed = regions.allowed(height, width, "x.png")
        assert allowed is not None
        y, x = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
        away = np.abs(x + y - 1) > 1e-9
        expected = (x > 0.25) & (x < 0.75) & (x + y > 1)
        assert np.array_equal(allowed[away], expected[away])


@given(left=st.integers(0, 20), top=st.integers(0, 10), width=st.integers(1, 30), height=st.integers(1, 30))
def test_boxes_in_pixels_are_exact_and_polygons_agree(left: int, top: int, width: int, height: int) -> None:
    right, bottom = left + width, top + height
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    expected = np.zeros((24, 36), dtype=bool)
    expected[top:bottom, left:right] = True
    for shape in (Shape(box=(left, top, right, bottom)), Shape(polygon=corners)):
        mask = Area(include=(shape,), unit="pixels").mask(24, 36)
        assert mask is not None
        assert np.array_equal(mask, expected)


def test_nothing_configured_is_everywhere() -> None:
    assert Regions().allowed(8, 8, "x.png") is None


def test_masks_are_brought_to_the_image_and_found_beside_the_configuration(tmp_path: Path) -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:] = 255
    (tmp_path / "ignored.png").write_bytes(encode(mask))
    (tmp_path / "regions.yaml").write_text("ignore: [{mask: ignored.png}]\n")
    regions = read_config(tmp_path / "regions.yaml", Regions)
    allowed = regions.allowed(40, 80, "x.png")
    assert allowed is not None
    assert allowed[:, :40].all()
    assert not allowed[:, 40:].any()
    missing = Regions(include=(Shape(mask=tmp_path / "none.png"),))
    with pytest.raises(SynthError, match=r"mask of the regions cannot be used: .*none\.png does not exist"):
        missing.allowed(8, 8, "x.png")


@pytest.mark.parametrize(
    ("mask", "image", "fits"),
    [
        ((30, 50), (64, 64), False),
        ((50, 30), (30, 50), False),
        ((64, 60), (64, 64), False),
        ((1000, 1024), (2048, 2048), False),
        ((30, 50), (60, 100), True),
        ((600, 1000), (60, 100), True),
        # Sides of 1237 × 1601 scaled to a third, and rounded up or down.
        ((412, 533), (1237, 1601), True),
        ((413, 534), (1237, 1601), True),
        ((1, 1), (8, 8), True),
    ],
)
def test_masks_of_another_shape_are_refused(
    mask: tuple[int, int], image: tuple[int, int], fits: bool, tmp_path: Path
) -> None:
    file = tmp_path / "mask.png"
    file.write_bytes(encode(np.full(mask, 255, np.uint8)))
    regions = Regions(include=(Shape(mask=file),))
    if fits:
        allowed = regions.allowed(*image, "x.png")
        assert allowed is not None
        assert allowed.all()
        return
    says = rf"mask\.png has {mask[1]} × {mask[0]} pixels .* image of {image[1]} × {image[0]} without stretching"
    with pytest.raises(SynthError, match=says):
        regions.allowed(*image, "x.png")


def test_products_keep_to_their_own_areas_as_well() -> None:
    regions = Regions(
        ignore=(Shape(box=(0, 0, 1, 0.5)),),
        products={"*/bracket/*": Area(include=(Shape(box=(0, 0, 0.5, 1)),))},
    )
    bracket, other = (regions.allowed(10, 10, path) for path in ("parts/bracket/1.png", "parts/plate/1.png"))
    assert bracket is not None
    assert other is not None
    assert bracket.sum() == 25
    assert other.sum() == 50


def test_where_nothing_is_left_the_image_is_named() -> None:
    regions = Regions(include=(Shape(box=(0, 0, 0.5, 1)),), ignore=(Shape(box=(0, 0, 0.6, 1)),))
    with pytest.raises(SynthError, match=r"parts/1\.png: the configured regions leave none"):
        regions.allowed(10, 10, "parts/1.png")
    part = torch.zeros(1, 1, 10, 10)
    part[..., 8:] = 1
    allowed = Regions(include=(Shape(box=(0, 0, 0.5, 1)),)).allowed(10, 10, "parts/1.png")
    with pytest.raises(SynthError, match=r"parts/1\.png: no pixel is left .* covers 20% .* allow 50%"):
        confine(part, allowed, "parts/1.png")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"box": (0.5, 0, 0.2, 1)}, "left before right"),
        ({"polygon": ((0, 0), (1, 1))}, "at least 3"),
        ({"box": (0, 0, 1, 1), "mask": "x.png"}, "one of box, polygon and mask"),
        ({}, "one of box, polygon and mask"),
        ({"box": (-0.1, 0, 1, 1)}, "greater than or equal to 0"),
        ({"circle": 3}, "not permitted"),
    ],
)
def test_shapes_that_are_none_are_refused(content: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Shape.model_validate(content)


def test_fractions_above_one_are_taken_for_forgotten_pixels() -> None:
    with pytest.raises(ValidationError, match="unit: pixels"):
        Area(include=(Shape(box=(0, 0, 100, 100)),))
