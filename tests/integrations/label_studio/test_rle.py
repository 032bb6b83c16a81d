import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.label_studio.rle import decode_mask, encode_mask


def _mask(shape: tuple[int, int], share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (64, 80), (300, 400)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_the_same_as_the_sdk(shape: tuple[int, int], share: float) -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    mask = _mask(shape, share, 0)
    code = encode_mask(mask)
    theirs = brush.decode_rle(code).reshape(*shape, 4)[..., 3] >= 128
    np.testing.assert_array_equal(theirs, mask)
    np.testing.assert_array_equal(decode_mask(brush.mask2rle(mask.astype(np.uint8) * 255), *shape), mask)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_every_mask_survives(height: int, width: int, share: float, seed: int) -> None:
    mask = _mask((height, width), share, seed)
    np.testing.assert_array_equal(decode_mask(encode_mask(mask), height, width), mask)


def test_words_that_are_not_repeated_are_read() -> None:
    # 2 × 1 pixels as eight single words, as the browser writes what changes all the time.
    words = [9, 9, 9, 200, 1, 2, 3, 100]
    bits = f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + "000111" + "".join(f"{word:08b}" for word in words)
    bits += "0" * (-len(bits) % 8)
    code = list(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    np.testing.assert_array_equal(decode_mask(code, 2, 1), [[True], [False]])


def test_what_is_no_such_code_is_refused() -> None:
    code = encode_mask(_mask((6, 8), 0.5, 1))
    with pytest.raises(ValueError, match="8 × 7 pixels"):
        decode_mask(code, 7, 8)
    with pytest.raises(ValueError, match="too soon"):
        decode_mask(code[:-3], 6, 8)
    with pytest.raises(ValueError, match="6 pixels"):
        decode_mask([], 6, 8)
