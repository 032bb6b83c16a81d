from dataclasses import replace

import numpy as np
import pytest

from synth.parts import board, draw_lot
from synth.parts.board.layout import footprints, leads
from synth.parts.camera import draw_camera, radiance

LOT = draw_lot(np.random.default_rng(3))


def plan(seed: int = 0) -> board.Board:
    return board.draw(np.random.default_rng(seed), LOT)


def test_boards_of_a_product_differ_by_their_play_and_their_serial_number() -> None:
    first, second = plan(0), plan(1)
    for one, other in zip(first.parts, second.parts, strict=True):
        assert one.item.shape == other.item.shape
        assert 0 < np.hypot(one.item.u - other.item.u, one.item.v - other.item.v) < 6
        assert (one.marking == other.marking) == (one.item.shape != "sticker")


def test_what_stands_on_a_board_throws_its_shadow_on_the_side_away_from_the_light() -> None:
    scene = board.build(replace(plan(), pose=replace(plan().pose, x=0, y=0, angle=0)), 256)
    can = next(item for item in footprints() if item.shape == "can")
    beside = (np.hypot(scene.u - can.u, scene.v - can.v) < can.length * 0.9) & (scene.height < 1)

    def lit(side: int) -> float:
        camera = replace(draw_camera(np.random.default_rng(0), 0.0, 1.0), azimuth=0.0)
        with_shadow, without = radiance(scene, camera), radiance(replace(scene, tallest=0.0), camera)
        there = beside & (side * (scene.u - can.u) > can.length * 0.5)
        return float((with_shadow[there] / without[there]).mean())

    assert lit(1) > 0.97  # the light comes from there
    assert lit(-1) < 0.85


def test_a_missing_part_leaves_its_pads_and_changes_nothing_but_what_it_covered() -> None:
    drawn = plan()
    number = next(i for i, placed in enumerate(drawn.parts) if placed.item.shape == "capacitor")
    item = drawn.parts[number].item
    parts = tuple(replace(placed, there=i != number) for i, placed in enumerate(drawn.parts))
    whole, bare = board.build(drawn, 256), board.build(replace(drawn, parts=parts), 256)
    near = np.hypot(whole.u - item.u, whole.v - item.v) < item.length / 2 + 4
    assert np.array_equal(whole.albedo[~near], bare.albedo[~near])
    middle = np.hypot(whole.u - item.u, whole.v - item.v) < 1.5
    assert bare.height[middle].max() < 1 < whole.height[middle].min()
    ends = np.hypot(np.abs(whole.u - item.u) - item.length / 2, whole.v - item.v) < 1
    assert bare.gloss[ends].min() > 0.2


@pytest.mark.parametrize(("seed", "count"), [(s, n) for s in (0, 1) for n in (0, 1, 2, 3)])
def test_leads_leave_chips_outwards(seed: int, count: int) -> None:
    item = plan(seed).parts[count].item
    assert item.shape == "chip"
    for a, b, outward in leads(item):
        assert a * np.cos(outward) + b * np.sin(outward) > 3
