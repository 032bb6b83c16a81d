"""The supervised fallback: what inspectors confirmed, learnt on top of a detector's features."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from learning.errors import BundleError
from learning.fusion import Scale
from learning.supervised.head import predict_score
from learning.supervised.linear import LinearModel, fit_logistic
from learning.writable import share

_FILE = "fallback.safetensors"


@dataclass(frozen=True)
class Fallback:
    """Says how likely an embedding is a confirmed kind of defect.

    Attributes:
        classifier: Regression on embeddings.
        head: Regression on dense features, where there were masks to learn it from.
        scale: What makes its scores comparable with the detector's; None until it was judged.
    """

    classifier: LinearModel
    head: LinearModel | None = None
    scale: Scale | None = None

    @classmethod
    def fit(
        cls, embeddings: NDArray[np.floating], defective: NDArray[np.bool_], head: LinearModel | None = None
    ) -> Self:
        """Learn from embeddings.

        Args:
            embeddings: ``[N, D]`` of good and of confirmed defective parts.
            defective: ``[N]``; both values must occur.
            head: A segmentation head from ``learning.supervised.head.fit_head``.

        Raises:
            ValueError: If only one class occurs.
        """
        return cls(fit_logistic(np.asarray(embeddings), np.asarray(defective, dtype=bool)), head)

    @property
    def needs_dense(self) -> bool:
        """Whether it looks at dense features too."""
        return self.head is not None

    def predict(
        self, embeddings: NDArray[np.floating], dense: NDArray[np.floating] | None = None
    ) -> NDArray[np.float64]:
        """Score parts; higher is more likely defective.

        Args:
            embeddings: ``[N, D]``.
            dense: ``[N, E, h, w]`` features of every place, if ``needs_dense``.

        Returns:
            ``[N]`` log-odds; with a head, the mean of those of the whole and of its most suspicious places.

        Raises:
            ValueError: If dense features are needed and missing.
        """
        if self.head is None or dense is None:
            return self.combine(embeddings)
        return self.combine(embeddings, predict_score(self.head, dense))

    def combine(
        self, embeddings: NDArray[np.floating], head_scores: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score parts whose dense features the head has seen before; see ``predict``.

        Args:
            embeddings: ``[N, D]``.
            head_scores: ``[N]`` from ``learning.supervised.head.predict_score``, if ``needs_dense``.

        Raises:
            ValueError: If they are needed and missing.
        """
        whole = self.classifier.predict(embeddings)
        if self.head is None:
            return whole
        if head_scores is None:
            msg = "this fallback has a segmentation head: it needs dense features beside embeddings"
            raise ValueError(msg)
        return (whole + head_scores) / 2

    def with_scale(self, scale: Scale) -> Self:
        """The same fallback, its scores made comparable with the detector's."""
        return replace(self, scale=scale)

    def save(self, folder: Path) -> None:
        """Write ``fallback.safetensors`` into a folder that exists."""
        arrays = self.classifier.arrays("classifier")
        if self.head is not None:
            arrays |= self.head.arrays("head")
        if self.scale is not None:
            arrays["scale"] = np.array([*self.scale.detector, *self.scale.fallback, self.scale.slope])
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / _FILE)
        share(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            BundleError: If it is missing or damaged.
        """
        file = folder / _FILE
        try:
            with safe_open(file, framework="numpy") as opened:
                arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            head = LinearModel.from_arrays(arrays, "head") if "head.weight" in arrays else None
            scale = arrays.get("scale")
            return cls(
                LinearModel.from_arrays(arrays, "classifier"),
                head,
                None if scale is None else Scale((scale[0], scale[1]), (scale[2], scale[3]), *scale[4:].tolist()),
            )
        except (OSError, SafetensorError, LookupError, TypeError) as error:
            msg = f"{file} is missing or damaged; run `flawsmith retrain` again, or go back to an older threshold"
            raise BundleError(msg) from error
