"""``python -m benchmarks.workers.anomalib_patchcore FOLDER``: anomalib's PatchCore on images that lie ready.

Runs in an environment of its own; see ``benchmarks.peers`` and ``benchmarks.agreement``.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from safetensors.torch import load_file
from torch import Tensor

_BATCH = 8


def main(folder: Path) -> None:
    """Read a job, normalised images ``[N, 3, h, w]`` to learn from and to score, and weights; write scores and maps."""
    job = json.loads((folder / "job.json").read_text())
    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    model = PatchcoreModel(
        layers=job["layers"], backbone=job["backbone"], pre_trained=False, num_neighbors=job["neighbours"]
    )
    network = model.feature_extractor.feature_extractor
    weights = load_file(folder / "weights.safetensors")
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    train, test = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("train", "test"))
    model.train()
    for batch in train.split(_BATCH):
        model(batch)
    model.subsample_embedding(job["coreset"])
    model.eval()
    scores: list[Tensor] = []
    maps: list[Tensor] = []
    with torch.inference_mode():
        for batch in test.split(_BATCH):
            said = model(batch)
            scores.append(said.pred_score.flatten())
            maps.append(said.anomaly_map[:, 0])
    np.save(folder / "scores.npy", torch.cat(scores).numpy())
    np.save(folder / "maps.npy", torch.cat(maps).numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
