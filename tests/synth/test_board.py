from dataclasses import replace

import numpy as np
import pytest
from skimage.measure import label
from skimage.transform import downscale_local_mean

from synth.parts import board, draw_lot, make_part
from synth.parts.board.artwork import artwork
from synth.parts.board.layout import HALF, footprints, leads, pads
from synth.parts.camera import draw_camera, radiance

LOT = draw_lot(np.random.default_rng(3))


def plan(seed: int = 0) -> board.Board:
    return board.draw(np.random.default_rng(seed), LOT)


def test_parts_stand_on_the_board_and_apart_from_each_other() -> None:
    taken = np.zeros((int(8 * HALF[1]), int(8 * HALF[0])), dtype=int)
    rows, columns = np.mgrid[: taken.shape[0], : taken.shape[1]]
    u, v = (columns + 0.5) / 4 - HALF[0], (rows + 0.5) / 4 - HALF[1]
    for item in footprints():
        a = (u - item.u) * np.cos(item.angle) + (v - item.v) * np.sin(item.angle)
        b = (v - item.v) * np.cos(item.angle) - (u - item.u) * np.sin(item.angle)
        body = (np.abs(a) < item.length / 2) & (np.abs(b) < item.width / 2)
        assert body.sum() / 16 == pytest.approx(item.length * item.width, rel=0.1)
        taken += body
    assert taken.max() == 1


def test_no_trace_touches_another() -> None:
    # Every island of copper has the pads of one net: at most one pad, as each trace leads from a pad to a via.
    art = artwork(2)
    islands = label(art.traces < 0)
    items = footprints()
    found = []
    for pad in pads():
        u, v = items[pad.footprint].place(pad.a, pad.b)
        found.append(islands[int((v + HALF[1]) * 2), int((u + HALF[0]) * 2)])
    assert min(found) > 0
    assert len(set(found)) == len(found)
    assert (art.vias < 0.5).any()


def test_boards_of_a_product_differ_by_their_play_and_their_serial_number() -> None:
    first, second = plan(0), plan(1)
    for one, other in zip(first.parts, second.parts, strict=True):
        assert one.item.shape == other.item.shape
        assert 0 < np.hypot(one.item.u - other.item.u, one.item.v - other.item.v) < 6
        assert (one.marking == other.marking) == (one.item.shape != "sticker")


def test_a_board_looks_the_same_at_every_size() -> None:
    small, large = (make_part("board", LOT, np.random.default_rng(4), size=size).images[0] for size in (192, 384))
    assert np.corrcoef(small.ravel(), downscale_local_mean(large, (2, 2)).ravel())[0, 1] > 0.95


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
