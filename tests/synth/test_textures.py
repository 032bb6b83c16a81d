from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.sources.folder import TextureFolder
from synth.sources.textures import TEXTURES, TextureParameters, textures

kinds = pytest.mark.parametrize("kind", range(len(TEXTURES)), ids=list(TEXTURES))


def parameters(kind: int, count: int, seed: int = 0) -> TextureParameters:
    g = Generator().manual_seed(seed)
    return TextureParameters(
        kind=np.full(count, (kind + 0.5) / len(TEXTURES)),
        seed=torch.randint(2**31, (count,), generator=g).numpy(),
        grain=0.02 + 0.1 * torch.rand(count, generator=g).numpy(),
        stretch=0.5 + 1.5 * torch.rand(count, generator=g).numpy(),
        angle=3 * torch.rand(count, generator=g).numpy(),
        brightness=np.full(count, 0.5),
        contrast=np.full(count, 0.3),
    )


def paint(p: TextureParameters, top: int = 0, left: int = 0, size: int = 64, channels: int = 1) -> Tensor:
    x = (left + torch.arange(size).float()).expand(len(p.seed), 1, 1, size)
    y = (top + torch.arange(size).float())[:, None].expand(len(p.seed), 1, size, 1)
    return textures(p, x, y, 128, channels)


@kinds
@pytest.mark.parametrize("channels", [1, 3])
def test_a_seed_is_one_texture_in_range(kind: int, channels: int) -> None:
    first = paint(parameters(kind, 4), channels=channels)
    assert first.shape == (4, channels, 64, 64)
    assert first.dtype == torch.float32
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, paint(parameters(kind, 4), channels=channels))
    other = paint(replace(parameters(kind, 4), seed=parameters(kind, 4).seed + 1000), channels=channels)
    # Knurling has no randomness but its colours.
    assert list(TEXTURES)[kind] == "knurled" or (first - other).abs().amax(dim=(1, 2, 3)).min() > 0.05
    assert (first.std(dim=(2, 3)) > 0.01).all()


@kinds
@settings(max_examples=5, deadline=None)
@given(top=st.integers(0, 4000), left=st.integers(0, 4000), seed=st.integers(0, 1000))
def test_windows_of_a_texture_fit_together(kind: int, top: int, left: int, seed: int) -> None:
    p = parameters(kind, 2, seed)
    whole = paint(p, top, left, size=48)
    part = paint(p, top + 7, left + 21, size=20)
    torch.testing.assert_close(part, whole[..., 7:27, 21:41], rtol=0, atol=2e-3)


@kinds
def test_a_batch_is_its_textures_one_by_one(kind: int) -> None:
    p = parameters(kind, 5)
    together = paint(p, channels=3)
    for row in range(5):
        alone = TextureParameters(**{f.name: getattr(p, f.name)[row : row + 1] for f in fields(p)})
        torch.testing.assert_close(paint(alone, channels=3)[0], together[row], rtol=0, atol=1e-5)


def test_kinds_have_spectra_of_their_own() -> None:
    """The power over frequency and direction is nearest to that of the same kind with other seeds."""

    def spectrum(kind: int, seed: int) -> Tensor:
        p = parameters(kind, 24, seed)
        p = replace(p, grain=np.full(24, 0.07), stretch=np.ones(24), angle=np.zeros(24))
        fields = paint(p, size=64)[:, 0]
        fields = (fields - fields.mean(dim=(1, 2), keepdim=True)) / fields.std(dim=(1, 2), keepdim=True)
        power = torch.fft.rfft2(fields).abs().square().mean(dim=0)[:32, :32]
        # Grey levels tell kinds apart whose power is alike, such as clouds and rust.
        levels = torch.histc(fields, 24, -3, 3) / fields.numel()
        rings = (power + 1).log().unfold(0, 4, 4).unfold(1, 4, 4).mean(dim=(2, 3)).flatten()
        return torch.cat([rings, 20 * levels])

    first = torch.stack([spectrum(kind, 1) for kind in range(len(TEXTURES))])
    second = torch.stack([spectrum(kind, 2) for kind in range(len(TEXTURES))])
    assert torch.cdist(first, second).argmin(dim=1).tolist() == list(range(len(TEXTURES)))


def save(path: Path, value: int, size: tuple[int, int] = (40, 60)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


@pytest.mark.parametrize("root", ["", "images"])
def test_class_folders_and_flat_folders_are_read(root: str, tmp_path: Path) -> None:
    save(tmp_path / root / "woven" / "a.jpg", 20)
    save(tmp_path / root / "dotted" / "b.png", 200)
    save(tmp_path / root / "c.png", 100)
    (tmp_path / "readme.txt").write_text("no image")
    folder = TextureFolder(tmp_path)
    assert folder.classes == ["dotted", "woven"]
    assert [path.name for path in folder.files] == ["c.png", "b.png", "a.jpg"]
    grey = folder.read([0, 1], 1, (32, 24))
    assert grey.shape == (2, 1, 32, 24)
    torch.testing.assert_close(grey.mean(dim=(1, 2, 3)), torch.tensor([100 / 255, 200 / 255]), rtol=0, atol=1e-3)
    drawn = folder.draw(Generator().manual_seed(0), 8, 3, (16, 16))
    assert drawn.shape == (3, 3, 16, 16)
    assert torch.equal(drawn, folder.draw(Generator().manual_seed(0), 8, 3, (16, 16)))


def test_textures_keep_their_shape_and_memory_is_bounded(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 200), (50, 1)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    folder = TextureFolder(tmp_path, cache_bytes=ramp.nbytes - 1)
    middle = folder.read([0], 1, (50, 50))[0, 0]
    torch.testing.assert_close(middle[0], torch.from_numpy(ramp[0, 75:125]).float() / 255)
    assert not folder._cached
    roomy = TextureFolder(tmp_path)
    roomy.read([0], 1, (50, 50))
    (tmp_path / "ramp.png").unlink()
    assert torch.equal(roomy.read([0], 1, (50, 50))[0, 0], middle)


def test_what_is_no_folder_of_textures_is_named(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="nowhere is no folder"):
        TextureFolder(tmp_path / "nowhere")
    with pytest.raises(SynthError, match="holds no images of textures"):
        TextureFolder(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(SynthError, match=r"broken\.png cannot be read"):
        TextureFolder(tmp_path).read([0], 1, (8, 8))
