"""From features of places to what a detector says of images."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from learning.detectors.base import Prediction


def to_rows(features: Tensor) -> Tensor:
    """``[B, D, h, w]`` to ``[B h w, D]``."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def judge_places(judge: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """Logits ``[B, h, w]`` of features ``[B, D, h, w]``."""
    return judge(to_rows(features)).reshape(len(features), *features.shape[-2:])


def to_prediction(logits: Tensor, images: Tensor, share: float) -> Prediction:
    """Image scores, the mean of the highest ``share`` of the logits ``[B, h, w]``, and maps of the images' size."""
    highest = max(1, round(logits[0].numel() * share))
    scores = logits.flatten(1).topk(highest, dim=1).values.mean(dim=1)
    maps = functional.interpolate(logits[:, None], images.shape[-2:], mode="bilinear", align_corners=False)
    return Prediction(scores.float(), maps[:, 0].sigmoid().float())
