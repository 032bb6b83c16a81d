"""What a trained detector says of images, in one pass; on a GPU, recorded once and replayed from then on.

Most of the time that a GPU takes for a few images goes into asking it for hundreds of small operations, one by one
from Python. A CUDA graph asks for all of them at once, and they are the same operations.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor

from learning.detectors.base import Detector, Traceable
from learning.errors import ExportError

Described = tuple[Tensor, Tensor, Tensor]
"""Scores ``[B]``, maps ``[B, h, w]`` and embeddings ``[B, D]``, float32, on the CPU."""

Describe = Callable[[Tensor], Described]
"""From preprocessed images ``[B, C, h, w]``, 0..1."""

_MOST = 64
_WARM_UPS = 3


def describer(detector: Detector) -> Describe:
    """The quickest way to all that a trained detector says of a batch.

    On a GPU it is a ``Replayed``, if the detector is one network (those that can be exported); everywhere else, what
    ``predict`` and ``embed`` say one after the other.
    """
    if detector.device.startswith("cuda"):
        try:
            return Replayed(detector.exportable(), torch.device(detector.device))
        except ExportError:
            pass  # not one network: it may compute outside of the GPU, which no graph records

    def describe(images: Tensor) -> Described:
        with exact():
            prediction = detector.predict(images)
            return prediction.scores.cpu(), prediction.maps.float().cpu(), detector.embed(images).float().cpu()

    return describe


@contextmanager
def exact() -> Iterator[None]:
    """Let convolutions compute in whole float32: by default, recent GPUs round their inputs to ten bits (TF32).

    A threshold holds for scores of the bundle wherever it is run, and rounding moves those: by 1e-4 instead of 4e-6,
    for 1.6 times the speed of one image and 2.7 times that of batches (docs/export.md).
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def padded(count: int, most: int) -> int:
    """Images of the recording that so many are replayed with: the next power of two, at most ``most``."""
    return min(1 << (count - 1).bit_length(), most)


class Replayed:
    """Records what a module does on a GPU, for each size of a batch when it first comes, and replays it.

    Safe to call from several threads; they take turns.

    Args:
        module: Trained, on the GPU.
        device: Of the module.
        most: Images that are computed at once; more are split. It bounds the memory that recordings take.
        arithmetic: What is set while recording; replaying computes as was recorded, whatever is set then.
    """

    def __init__(
        self,
        module: Traceable,
        device: torch.device,
        most: int = _MOST,
        arithmetic: Callable[[], AbstractContextManager[None]] = exact,
    ) -> None:
        self._module = module
        self._device = device
        self._most = most
        self._arithmetic = arithmetic
        self._recordings: dict[torch.Size, Recording] = {}
        self._lock = Lock()

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Described:
        """Scores, maps and embeddings of a batch of any size."""
        with self._lock:
            found = [self._some(some) for some in images.split(self._most)]
        scores, maps, embeddings = (torch.cat(parts) for parts in zip(*found, strict=True))
        return scores, maps, embeddings

    def _some(self, images: Tensor) -> list[Tensor]:
        recording = self.recording(torch.Size((padded(len(images), self._most), *images.shape[1:])))
        recording.images[: len(images)].copy_(images)
        recording.replay()
        return [part[: len(images)].to("cpu", torch.float32, copy=True) for part in recording.found]

    def recording(self, shape: torch.Size) -> "Recording":
        """The recording for batches of a shape; made if there is none yet."""
        if shape not in self._recordings:
            with self._arithmetic():
                self._recordings[shape] = record(self._module, torch.zeros(shape, device=self._device))
        return self._recordings[shape]


@dataclass(frozen=True)
class Recording:
    """Operations on the GPU whose tensors stay where they are.

    Attributes:
        images: What they read; written before ``replay``.
        replay: Does them once more.
        found: What they write, over what the last ``replay`` has found.
    """

    images: Tensor
    replay: Callable[[], None]
    found: Described


@torch.inference_mode()
def record(module: Traceable, images: Tensor) -> Recording:
    """Record a module as a CUDA graph.

    Args:
        module: On the GPU.
        images: ``[B, C, h, w]`` on the GPU; kept.
    """
    stream = torch.cuda.Stream(images.device)
    stream.wait_stream(torch.cuda.current_stream(images.device))
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):  # libraries choose their kernels and take their memory, which no graph can record
            module(images)
    torch.cuda.current_stream(images.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the GPU meanwhile: they read ahead, or score with another bundle.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        found: Described = module(images)
    return Recording(images, graph.replay, found)
