"""``python -m benchmarks.workers.anomalib_detectors JOB.json``: one of anomalib's detectors, trained and scored.

Runs in an environment of its own; see ``benchmarks.peers`` and ``benchmarks.peer_detectors``. Nothing is downloaded:
weights that would be are drawn at random, textures and other people's pictures are taken from a folder.
"""

import contextlib
import json
import logging
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from anomalib.data import Folder
from anomalib.data.utils import read_image
from anomalib.engine import Engine
from anomalib.models import Draem, EfficientAd, Glass, Padim, Patchcore
from torch import Tensor

from benchmarks.workers.memory import peak_memory

_WITHOUT = {"post_processor": False, "evaluator": False, "visualizer": False}
_MANY = 10**6
"""Epochs: it is the time that ends a training."""

_BATCHES = {"patchcore": 8, "padim": 8, "efficient_ad": 1, "draem": 8, "glass": 8}
"""Images a step; EfficientAD takes no other number than one."""

_FEATURES = 1536
"""Numbers that PatchCore keeps of each place."""


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Train one detector and score test images.

    Args:
        job: ``detector``, ``data`` (with ``train/good``), ``test`` (files), ``textures`` (a folder of a folder of
            pictures), ``size``, ``minutes``, ``seed``, ``threads`` and ``memory_gb``.

    Returns:
        ``scores`` of the test images, ``steps``, ``seconds``, ``ms_per_image``, ``size_mb``, ``train_images`` and
        ``peak_mb``.
    """
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    size = (job["size"], job["size"])
    model = _make(job["detector"], size, Path(job["textures"]))
    good = sorted(Path(job["data"], "train/good").iterdir())
    with tempfile.TemporaryDirectory() as folder:
        used = good[: _most_images(job)] if job["detector"] == "patchcore" else good
        (Path(folder) / "good").mkdir()
        for file in used:
            (Path(folder) / "good" / file.name).symlink_to(file.resolve())
        data = Folder(
            name="parts",
            root=folder,
            normal_dir="good",
            train_batch_size=_BATCHES[job["detector"]],
            eval_batch_size=1,
            num_workers=0,
            test_split_mode="none",
            val_split_mode="from_train",
            val_split_ratio=0.1,
            seed=job["seed"],
        )
        started = time.monotonic()
        engine = Engine(
            accelerator="cpu",
            devices=1,
            max_epochs=_MANY,
            max_time={"seconds": max(1, round(60 * job["minutes"]))},
            default_root_dir=folder,
            logger=False,
            enable_progress_bar=False,
            # Validation has nothing to choose here, and would take of the minutes.
            limit_val_batches=1,
            check_val_every_n_epoch=_MANY if job["detector"] in ("draem", "glass", "efficient_ad") else 1,
        )
        engine.fit(model, datamodule=data)
        if isinstance(model, EfficientAd):
            model.model.quantiles.update(model.map_norm_quantiles(data.val_dataloader()))
        seconds = time.monotonic() - started
    model.eval()
    scores, times = [], []
    for file in job["test"]:
        image = read_image(file, as_tensor=True)
        started = time.monotonic()
        scores.append(_score(model, image))
        times.append(time.monotonic() - started)
    weights = Path(tempfile.gettempdir()) / f"weights-{time.monotonic_ns()}.pt"
    torch.save(model.model.state_dict(), weights)
    megabytes = weights.stat().st_size / 1e6
    weights.unlink()
    return {
        "scores": scores,
        "steps": int(engine.trainer.global_step) or len(used),
        "seconds": seconds,
        "ms_per_image": 1000 * statistics.median(times),
        "size_mb": megabytes,
        "train_images": len(used),
        "peak_mb": peak_memory(),
    }


def _make(name: str, size: tuple[int, int], textures: Path) -> Any:
    """A detector with random weights where it would download them."""
    if name == "patchcore":
        before = Patchcore.configure_pre_processor(size, size)
        return Patchcore(pre_trained=False, pre_processor=before, **_WITHOUT)
    if name == "padim":
        return Padim(pre_trained=False, pre_processor=Padim.configure_pre_processor(size), **_WITHOUT)
    if name == "draem":
        return Draem(dtd_dir=textures, pre_processor=Draem.configure_pre_processor(size), **_WITHOUT)
    if name == "glass":
        before = Glass.configure_pre_processor(size)
        # Its folder of textures has a folder for each kind.
        model = Glass(
            input_shape=size, anomaly_source_path=str(textures), pre_trained=False, pre_processor=before, **_WITHOUT
        )
        # Version 2.7.0 asks the feature extractor for the parameters of its backbone's name, and fails.
        extractor = model.model.forward_modules["feature_aggregator"]
        # Not as a module of its own, whose weights would be counted twice.
        extractor.__dict__["backbone"] = extractor.feature_extractor
        return model
    model = EfficientAd(imagenet_dir=textures, pre_processor=EfficientAd.configure_pre_processor(size), **_WITHOUT)
    model.prepare_pretrained_model = lambda: None
    return model


@torch.inference_mode()
def _score(model: Any, image: Tensor) -> float:
    said = model.model(model.pre_processor(image[None]))
    score = said.pred_score if said.pred_score is not None else said.anomaly_map.amax()
    return float(score.flatten()[0])


def _most_images(job: dict[str, Any]) -> int:
    """Of what PatchCore keeps of all images before it chooses, an eighth of the memory: the choice copies it."""
    each = 4 * _FEATURES * (job["size"] // 8) ** 2
    return max(8, int(job["memory_gb"] * 1e9 / 8 / each))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # libraries print
        answer = main(json.loads(Path(sys.argv[1]).read_text()))
    out.write(json.dumps(answer) + "\n")
