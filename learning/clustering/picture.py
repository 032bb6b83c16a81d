"""The picture of clusters: good places, and places of other images, along the two widest principal components."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure
from torch import Tensor

from learning.clustering.detector import ClusterDetector
from learning.feature_discriminator import to_rows

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_BATCH = 8
_MOST_PLACES = 6000
_NAMED = 10
"""Clusters that have a colour of their own in the legend."""


def cluster_picture(detector: ClusterDetector, images: "ImageSet", file: Path, seed: int = 0) -> None:
    """Draw places of images and the centres of the clusters, and the most anomalous place of each image.

    Args:
        detector: Fitted.
        images: Any images, such as those that the detector was trained on; bad ones lie apart if it can tell them.
        file: PNG to write.
        seed: Of which places are drawn.
    """
    points, members, farthest, bad = _places(detector, images, seed)
    labels = detector.clusters.labels.cpu()
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    axes = figure.subplots()
    for label in labels.unique().tolist():
        own = labels[members] == label
        count = int(detector.clusters.counts[labels == label].sum())
        name = f"cluster {label}: {count} places" if label < _NAMED else None
        axes.scatter(points[own, 0], points[own, 1], s=3, color=f"C{label % 10}", alpha=0.35, label=name, linewidths=0)
    centres = detector.clusters.centres.cpu()
    axes.scatter(centres[:, 0], centres[:, 1], s=26, marker="+", color="black", label="centres", linewidths=0.8)
    for name, which, colour in (("good", ~bad, "tab:green"), ("defective", bad, "tab:red")):
        if which.any():
            spots = farthest[which]
            axes.scatter(
                spots[:, 0],
                spots[:, 1],
                s=30,
                facecolors="none",
                edgecolors=colour,
                linewidths=0.9,
                label=f"farthest place of {int(which.sum())} {name} images",
            )
    axes.set(
        xlabel="first principal component (deviations)",
        ylabel="second principal component (deviations)",
        title=f"{detector.name}: {len(centres)} centres, {len(points)} of the places of {len(images)} images",
    )
    axes.legend(fontsize=7, loc="best", markerscale=1.5)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


@torch.inference_mode()
def _places(detector: ClusterDetector, images: "ImageSet", seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Drawn places ``[N, 2]``, their centres ``[N]``, each image's farthest place ``[B, 2]``, and which are bad."""
    draws = torch.Generator().manual_seed(seed)
    each = max(1, _MOST_PLACES // len(images))
    points, members, farthest = [], [], []
    for first in range(0, len(images), _BATCH):
        features = detector.dense(images.batch(range(first, min(first + _BATCH, len(images)))))
        distances, centre = (values.flatten(1).cpu() for values in detector.nearest(features))
        whitened = detector.whitening.apply(to_rows(features))[:, :2].cpu().view(*distances.shape, -1)
        for rows, far, own in zip(whitened, distances, centre, strict=True):
            chosen = torch.randperm(len(rows), generator=draws)[:each]
            points.append(rows[chosen])
            members.append(own[chosen])
            farthest.append(rows[far.argmax()])
    bad = torch.tensor([record.defective for record in images.records])
    return torch.cat(points), torch.cat(members), torch.stack(farthest), bad
