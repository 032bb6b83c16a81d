"""Segmentation of synthetic flaws as anomaly detection: no weights, no defects, minutes of training."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from learning.curriculum import Curriculum, CurriculumConfig
from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport, Prediction, Traceable
from learning.detectors.departure import Departure
from learning.detectors.inputs import standardise, standardise_windows
from learning.detectors.reference import Reference, fit_reference, is_explained
from learning.detectors.segment.alarms import MOST, Alarms
from learning.detectors.segment.batches import Batch, Shares, make_batch, share_mixed
from learning.detectors.segment.losses import compute_losses, image_logits
from learning.detectors.segment.network import UNet
from learning.detectors.segment.scores import image_scores
from learning.detectors.subspace import Apart
from learning.detectors.weights import read_weights, restore, write_weights
from learning.errors import ConfigError
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.loop import Schedule
from learning.loop import train as train_loop
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

Share = Annotated[float, Field(gt=0, le=1)]

_VIEWS = ((), (-2, -1), (-1,), (-2,))
"""Axes that a picture is mirrored along before the network looks at it."""

_BEST_VIEWS = 2
"""As it is and turned by half: as good as all four ways, in half the time (docs/detectors.md)."""

_EARLIER_VIEWS = 4
"""Of bundles that do not say how many: their thresholds are of scores by four."""

_VIEWS_KEY = "views"

_MOST_HELD_OUT = 64

_GENTLER = 0.25
"""Learning rate of a network that goes on from weights that are there, as a share of that from scratch."""


class SegmentConfig(DetectorConfig):
    """Options of the ``segment`` detector."""

    widths: tuple[int, ...] = Field(default=(32, 64, 128, 160, 160), min_length=2, max_length=6)
    stem: int = Field(default=2, ge=1, le=4, description="Side of the pixel blocks that enter the network as one.")
    batch: int = Field(default=16, ge=2, le=256)
    good_share: float = Field(default=0.25, ge=0, lt=1, description="Share of each batch that is left without flaws.")
    learning_rate: float = Field(default=2e-3, gt=0, le=0.1)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    muon: bool | None = Field(
        default=None,
        description="Move convolutions by Muon instead of AdamW; none means where there is a reference.",
    )
    score_shares: tuple[Share, ...] = Field(
        default=(0.002, 0.02, 0.2),
        min_length=1,
        description="Shares of the pixels, the highest; the image score comes from the mean of each: small flaws show "
        "in the first, large ones in the last.",
    )
    loss_share: Share = Field(default=0.005, description="The same for the loss of images.")
    window: int | None = Field(
        default=None,
        ge=32,
        le=1024,
        description="Side in pixels of the windows that are learnt from, for small defects in large pictures: pictures "
        "are seen at `size`, and have no reference. None is whole pictures.",
    )
    reference: bool | None = Field(
        default=None,
        description="Show the network how far each place is from what good parts usually look like there, too; none "
        "means where good parts, laid over each other, have enough in common, and are not mirrored (flips).",
    )
    departure: bool = Field(
        default=True, description="Where there is a reference, judge parts by how far they depart from it, too."
    )
    flips: bool | None = Field(
        default=None,
        description="Learn from mirrored images, and average the map over them when predicting; none means where "
        "pictures are taken whole and have no reference, as a part that lies one way is never seen mirrored.",
    )
    mixed: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the good parts that take the light of another one, and of those that are blended with "
        "another one; none means half of them where pictures show a surface, and none of them elsewhere.",
    )
    families: tuple[str, ...] | None = Field(default=None, description="Flaw families to train on; none means all.")
    severity: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = Field(
        default=(0.3, 1.0),
        description="Least and greatest severity of made-up flaws: good parts show what is as faint as the faintest, "
        "and a network that is taught to find them finds them there.",
    )
    curriculum: CurriculumConfig | None = Field(
        default=None, description="Draw flaws more often of which the detector is unsure; none means all equally often."
    )

    @model_validator(mode="after")
    def _of_one_mind(self) -> Self:
        if self.severity[0] > self.severity[1]:
            msg = f"severity takes the least and the greatest, such as [0.3, 1], not {list(self.severity)}"
            raise ValueError(msg)
        if self.reference and self.flips:
            msg = "reference and flips contradict each other: a mirrored part does not lie as good parts do"
            raise ValueError(msg)
        if self.window and (self.reference or self.curriculum):
            msg = "windows have no reference and no curriculum: leave window out, or those"
            raise ValueError(msg)
        return self

    @model_validator(mode="before")
    @classmethod
    def _of_one_share(cls, values: Any) -> Any:
        """Bundles from before had one share, for both; they score as they did."""
        if not isinstance(values, dict):
            return values
        # Until departures took its place; weights that were chosen so are refused.
        values = {key: value for key, value in values.items() if key != "structure"}
        if "score_share" not in values:
            return values
        share = values["score_share"]
        return {"score_shares": (share,), "loss_share": share} | {k: v for k, v in values.items() if k != "score_share"}


class Segment(Detector):
    """Learns to find synthetic flaws on good parts, and so to find real ones.

    The anomaly map is the probability that a pixel belongs to a flaw. The image score is the geometric mean of the odds
    of the means of its highest values, over shares of the pixels from small to large (given as a probability), as
    nobody knows how large a flaw will be. The idea is DRAEM's (Zavrtanik et al., 2021, arXiv 2108.07610) without the
    reconstruction.
    """

    name = "segment"
    Config: ClassVar[type[DetectorConfig]] = SegmentConfig
    default_size: ClassVar[int] = 192
    tunable: ClassVar[bool] = True
    config: SegmentConfig
    network: UNet
    reference: Reference | None = None
    departure: Departure | None = None
    alarms: Alarms | None = None
    _apart: Apart | None = None
    _start: "Segment | None" = None
    _views: int = _BEST_VIEWS

    def fit(
        self,
        train: "ImageSet",
        selection: "ImageSet",
        seed: int,
        budget: Budget,
        progress: Progress = silent,
        checkpoint: Path | None = None,
        sources: FlawSources = NO_SOURCES,
    ) -> FitReport:
        """Learn from good parts; ``selection`` is for the curriculum and the scale of departures alone.

        From the weights and the reference of another, it learns at a quarter of the learning rate.

        Raises:
            ConfigError: If there is a curriculum, and confirmed defects too.
        """
        torch.manual_seed(seed)
        began = time.monotonic()
        options, start = self.config, self._start
        choices: dict[str, str] = {}
        if start is None:
            choices = self._choose_reference(train, progress)
        else:
            self._take_reference(start.reference, train, progress)
        self.network = self._new_network()
        if start is not None:
            self.network.load_state_dict(start.network.state_dict())
        curriculum = self._curriculum(selection)
        if curriculum and sources.defects:
            msg = "a curriculum knows no confirmed defects; use one or the other (curriculum, in detector_config)"
            raise ConfigError(msg)
        draws = curriculum or sources.synthesizer(options.families, options.severity)
        mixed = options.mixed
        if mixed is None:
            mixed = share_mixed(train, self._window)
            choices["mixed"] = f"{mixed:g}"
        if options.muon is None:
            choices["muon"] = "yes" if self._by_muon else "no"
        shares = Shares(options.batch, options.good_share, self._flips, mixed, self._window)
        report = train_loop(
            self.network,
            partial(make_batch, train, sources, draws.draw, shares),
            partial(_compute_losses, self._inputs, options),
            budget.after(time.monotonic() - began + self._seconds_afterwards(train, selection, budget)),
            seed,
            Schedule(options.learning_rate * (1.0 if start is None else _GENTLER)),
            weight_decay=options.weight_decay,
            muon=self._by_muon,
            progress=progress,
            checkpoint=checkpoint,
            device=self.device,
            callback=curriculum,
        )
        if curriculum:
            choices["curriculum"] = curriculum.describe()
        self._apart = None
        self.alarms = None if self.reference is None else Alarms.of_good(self._raised, train)
        choices |= self._choose_departure(selection)
        return FitReport(
            report.steps,
            report.seconds,
            weights="scratch" if start is None else "model",
            history=report.losses,
            waited=report.waited,
            choices=choices,
            precision=report.precision,
        )

    def go_on_from(self, start: Detector) -> None:
        """Have ``fit`` begin with the weights and the reference of another."""
        assert isinstance(start, Segment)
        self._start = start

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``."""
        images = images.to(self.device)
        if self._window:  # of which one view has to do, as there is much to look at
            maps = self._in_turn(lambda some: self._probabilities(self._inputs(some), some), images)
            scores = image_scores(maps, self.config.score_shares, self._window**2)
            return Prediction(scores.float(), maps[:, 0].float())
        if self.reference is not None:  # and so no mirrored views
            inputs = self._inputs(images)
            maps = self._probabilities(inputs, images)
            if self.alarms is not None:
                maps = self.alarms.quieten(maps)
            scores = image_scores(maps, self.config.score_shares)
            if self.departure is not None:
                scores, maps = self.departure.join(scores, maps, inputs.chunk(2, dim=1)[1])
            return Prediction(scores.float(), maps[:, 0].float())
        views = _VIEWS[: self._views] if self._flips else _VIEWS[:1]
        mirrored = [images.flip(view) for view in views]
        if images.is_cuda:
            # In one pass, as a GPU has room for it; a processor is a third slower so.
            whole = torch.cat(mirrored)
            found = self._probabilities(self._inputs(whole), whole).chunk(len(views))
        else:
            found = tuple(self._probabilities(self._inputs(some), some) for some in mirrored)
        maps = torch.stack([some.flip(view) for some, view in zip(found, views, strict=True)]).mean(dim=0)
        scores = image_scores(maps, self.config.score_shares)
        return Prediction(scores.float(), maps[:, 0].float())

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: the deepest features, as a whole and where the anomaly map is high; ``[B, 2D]``."""
        return self._in_turn(self._embed, images)

    @torch.inference_mode()
    def dense(self, images: Tensor) -> Tensor:
        """Embed every place: ``[B, C, h, w]`` to ``[B, D, h / stem, w / stem]``, for a segmentation head."""
        return self._in_turn(lambda some: self.network.dense(self.network.encode(self._inputs(some))).float(), images)

    def _embed(self, images: Tensor) -> Tensor:
        levels = self.network.encode(self._inputs(images))
        deepest = levels[-1].float()
        size = (deepest.shape[-2], deepest.shape[-1])
        heat = functional.adaptive_avg_pool2d(self.network.decode(levels).float().sigmoid(), size)
        heat = heat / heat.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-6)
        return torch.cat([deepest.mean(dim=(-2, -1)), (deepest * heat).sum(dim=(-2, -1))], dim=1)

    def exportable(self, mirrors: bool = True) -> Traceable:
        """The network with what goes before and after it."""
        if mirrors or not self._flips:
            return Traceable(self, self.network)
        once = Segment(self.config.model_copy(update={"flips": False}), self.preprocessing, self.device)
        once.network = self.network
        return Traceable(once, once.network)

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors``."""
        arrays = self.network.state_dict() | {_VIEWS_KEY: torch.tensor(self._views)}
        for usual in (self.reference, self.departure, self.alarms):
            arrays |= usual.arrays() if usual else {}
        write_weights(folder, arrays)

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read ``weights.safetensors``.

        Raises:
            ConfigError: If it judges by brightness and roughness, which departures have taken the place of.
        """
        self.device = device
        arrays = read_weights(folder, device)
        if "structure.mean" in arrays:
            msg = "this model judges by brightness and roughness, as models of this version no longer do: train it anew"
            raise ConfigError(msg)
        self._views = int(arrays.pop(_VIEWS_KEY, torch.tensor(_EARLIER_VIEWS)))
        self.reference, self.departure = Reference.of_arrays(arrays), Departure.of_arrays(arrays)
        self.alarms = Alarms.of_arrays(arrays)
        self.network = self._new_network()
        restore(self.network, arrays)
        return self

    def _curriculum(self, selection: "ImageSet") -> Curriculum | None:
        options = self.config
        if options.curriculum is None:
            return None

        def score(network: nn.Module, images: Tensor) -> Tensor:
            return image_logits(network(self._inputs(images)), self.config.loss_share)

        return Curriculum(
            options.families, selection, score, options.curriculum, severity=options.severity, mirror=self._flips
        )

    def _choose_reference(self, train: "ImageSet", progress: Progress) -> dict[str, str]:
        """Take a reference if it is wanted or good parts ask for it; what was chosen, if that was left open."""
        self.reference = None
        if self._window:
            return {"reference": "no: pictures are learnt from by windows"}
        if self.config.reference is False or (self.config.reference is None and self.config.flips):
            return {}
        fitted = fit_reference(train, self._seen, progress)
        wanted = self.config.reference or is_explained(fitted.explained)
        if wanted:
            self.reference, self._apart = fitted.reference, fitted.apart
        if self.config.reference:
            return {}
        directions = len(fitted.reference.usual.directions)
        text = f"in {directions} directions, it explains {100 * max(fitted.explained, 0):.0f} % of what good parts show"
        return {"reference": f"{'yes' if wanted else 'no'}: {text}"}

    def _take_reference(self, known: Reference | None, train: "ImageSet", progress: Progress) -> None:
        """Go on with another's reference, which a network has learnt by."""
        self.reference = known and known.to(self.device)
        if self.reference is None or self.reference.template is None:
            return
        fitted = fit_reference(train, self._seen, progress, lie_as=self.reference)
        self._apart = fitted.apart

    def _seconds_afterwards(self, train: "ImageSet", selection: "ImageSet", budget: Budget) -> float:
        """What looking at good parts will take once the network has learnt, which has no time of its own."""
        if self.reference is None or budget.minutes is None:
            return 0.0
        image = train.batch([0])
        self.network.eval()
        self._raised(image)
        began = time.monotonic()
        self._raised(image)
        each = time.monotonic() - began
        self.network.train()
        return each * (min(len(train), MOST) + min(len(selection), _MOST_HELD_OUT))

    def _choose_departure(self, selection: "ImageSet") -> dict[str, str]:
        """Learn from held-out parts what departures are worth; what was chosen."""
        self.departure = None
        if self.reference is None or not self.config.departure:
            return {}
        images = selection.batch(range(min(len(selection), _MOST_HELD_OUT)))
        scores = torch.cat([self.predict(one).scores for one in images.split(1)])
        with torch.inference_mode():
            deviations = torch.cat([self.reference.deviations(self._seen(one)) for one in images.split(1)])
        self.departure = Departure.fit(scores, deviations)
        return {} if self.departure else {"departure": "no: too few held-out parts say what is usual"}

    @property
    def _window(self) -> int | None:
        """Side of the windows; None where pictures are not larger than one."""
        window = self.config.window
        return window if window and window < min(self.preprocessing.height, self.preprocessing.width) else None

    def _in_turn(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """A function of a batch; of large pictures, one after another, as memory may not hold more."""
        if not self._window or torch.compiler.is_exporting():
            return function(images)
        return torch.cat([function(one) for one in images.split(1)])

    @property
    def _flips(self) -> bool:
        if self.config.flips is None:
            return self.preprocessing.part is None and self.reference is None
        return self.config.flips

    @property
    def _by_muon(self) -> bool:
        if self.config.muon is None:
            return self.reference is not None
        return self.config.muon

    @property
    def _stride(self) -> int:
        stride: int = self.config.stem * 2 ** (len(self.config.widths) - 1)
        return stride

    def _new_network(self) -> UNet:
        inputs = 2 * self.preprocessing.channels * (1 if self.reference is None else 2)
        network = UNet(inputs, self.config.widths, self.config.stem)
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _inputs(self, images: Tensor, parts: Tensor | None = None) -> Tensor:
        """Standardised images, and how far they are from the reference, if there is one.

        While the detector is trained, ``parts`` ``[B]`` says which of the good parts they were made of, or -1.
        """
        seen = self._seen(images)
        if self.reference is not None:
            with torch.no_grad():
                seen = torch.cat([seen, self.reference.deviations(seen, self._apart, parts)], dim=1)
        return seen.contiguous(memory_format=torch.channels_last)

    def _seen(self, images: Tensor) -> Tensor:
        """Standardised images on the device, edges replicated up to multiples of the network's stride."""
        images = images.to(self.device)
        height, width = images.shape[-2:]
        padding = (0, -width % self._stride, 0, -height % self._stride)
        padded = functional.pad(images, padding, mode="replicate")
        return standardise_windows(padded, self._window) if self._window else standardise(padded)

    @torch.inference_mode()
    def _raised(self, images: Tensor) -> Tensor:
        images = images.to(self.device)
        return self._probabilities(self._inputs(images), images)

    def _probabilities(self, inputs: Tensor, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        logits: Tensor = self.network(inputs)
        # Of bfloat16, probabilities next to one would be one.
        return logits[..., :height, :width].float().sigmoid()


def _compute_losses(
    inputs: Callable[[Tensor, Tensor], Tensor], config: SegmentConfig, network: nn.Module, batch: Batch
) -> dict[str, Tensor]:
    images = inputs(batch.images, batch.parts)
    logits = network(images).float()
    masks = functional.pad(batch.masks.to(logits), _padding(batch.masks.shape, logits.shape))
    return compute_losses(logits, masks, config.loss_share, batch.marked.to(logits.device))


def _padding(small: torch.Size, large: torch.Size) -> tuple[int, int, int, int]:
    return 0, large[-1] - small[-1], 0, large[-2] - small[-2]
