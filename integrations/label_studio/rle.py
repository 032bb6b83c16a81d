"""Masks in the run-length code of Label Studio's brush, the format of ``rle-pack`` (thi.ng/umbrella).

The SDK's converter has it too, but importing that takes seconds (it brings nltk, scikit-learn and pandas along): longer
than making a thousand tasks.

A stream of bits: 32 for the number of words, 5 for the bits of a word less 1, four times 4 for the bits of a length
less 1; then runs: 1 bit (1: one word that is repeated, 0: that many words), 2 for which of the four lengths, the length
less 1, and the word or words. The words are the image's RGBA channels, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = 8
_SIZES = (3, 4, 8, 16)
_CHANNELS = 4
_HEAD = 32 + 5 + 4 * len(_SIZES)


def encode_mask(mask: NDArray[np.bool_]) -> list[int]:
    """Encode a mask; all four channels of a pixel are 255 where it is true.

    Args:
        mask: ``[H, W]``.

    Returns:
        Bytes, as Label Studio keeps them.
    """
    flat = np.asarray(mask, dtype=bool).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [len(flat)]])) * _CHANNELS
    bits = [f"{len(flat) * _CHANNELS:032b}{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for first, length in zip(flat[starts].tolist(), lengths.tolist(), strict=True):
        word = "11111111" if first else "00000000"
        left = length
        while left:
            taken = min(left, 1 << _SIZES[-1])
            place = next(place for place, size in enumerate(_SIZES) if taken <= 1 << size)
            bits.append(f"1{place:02b}{taken - 1:0{_SIZES[place]}b}{word}")
            left -= taken
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    return list(int(stream, 2).to_bytes(len(stream) // 8, "big"))


def decode_mask(code: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """Decode a mask: true where the last channel, opacity, is at least 128.

    Args:
        code: Bytes, as Label Studio keeps them.
        height: Of the image.
        width: Of the image.

    Returns:
        ``[H, W]``.

    Raises:
        ValueError: If the code ends too soon, or is of an image of another size.
    """
    stream = "".join(f"{byte:08b}" for byte in code)
    if len(stream) < _HEAD or int(stream[:32], 2) != height * width * _CHANNELS:
        msg = f"the code of a brush region is not that of an image of {width} × {height} pixels"
        raise ValueError(msg)
    bits = np.unpackbits(np.asarray(code, dtype=np.uint8))
    word = int(stream[32:37], 2) + 1
    sizes = [int(stream[37 + 4 * k : 41 + 4 * k], 2) + 1 for k in range(4)]
    words = np.empty(height * width * _CHANNELS, dtype=np.uint8)
    at, filled = _HEAD, 0
    while filled < len(words):
        head = stream[at : at + 3]
        size = sizes[int(head[1:] or "0", 2)]
        end = at + 3 + size
        if word != _WORD or end + word > len(stream):
            msg = "the code of a brush region ends too soon, or has no bytes for words"
            raise ValueError(msg)
        count = int(stream[at + 3 : end], 2) + 1
        used = word if head[0] == "1" else word * count
        values = np.packbits(bits[end : end + used])
        words[filled : filled + count] = values[: len(words) - filled]
        at, filled = end + used, filled + count
    return np.asarray(words.reshape(height, width, _CHANNELS)[..., 3] >= 128)
