"""A source of defects that look like the confirmed ones: trained, sampled, saved and loaded."""

import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from learning.defects import load_bank, save_bank
from learning.errors import BundleError, DataError
from learning.generative.network import DefectPainter, Discriminator
from learning.generative.patches import frame_sides, shifted, to_defect, to_patches, turned
from learning.prefetch import step_generator
from learning.progress import Progress, silent
from learning.sealed import file_sha256, read_sealed, write_sealed
from learning.writable import share
from synth.sources.defects import Defect, DefectBank

LEAST_DEFECTS = 50
"""With fewer confirmed defects a network repeats them at best, and cutting them out does that better."""

_WEIGHTS = "weights.safetensors"
_FACTS = "generator.json"
_MOST_SHIFT = 8
_MEAN_DECAY = 0.99
_ATTEMPTS = 20
_LEAST_MASK = 0.01
_CERTAIN = 0.5
_SIZE = (0.8, 1.25)


class GenerativeConfig(BaseModel):
    """Options of the generative source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent: int = Field(default=64, ge=4, le=512)
    width: int = Field(default=16, ge=4, le=128)
    batch: int = Field(default=16, ge=4, le=128)
    learning_rate: float = Field(default=4e-4, gt=0, le=0.01)


class DefectGenerator:
    """Makes defects.

    Attributes:
        config: Of the networks and the training.
        bank: The confirmed defects that it learned from; samples take their sizes and surroundings from them.
        network: From noise to patches.
        steps: Optimiser steps taken.
        seconds: Wall-clock time of the training.
        history: Mean losses of the discriminator and the generator over each twentieth of the run or less.
    """

    def __init__(self, config: GenerativeConfig, bank: DefectBank, network: DefectPainter) -> None:
        self.config = config
        self.bank = bank
        self.network = network
        self.steps = 0
        self.seconds = 0.0
        self.history: dict[str, list[float]] = {}

    @classmethod
    def train(
        cls,
        bank: DefectBank,
        steps: int,
        seed: int = 0,
        config: GenerativeConfig | None = None,
        progress: Progress = silent,
    ) -> Self:
        """Learn what confirmed defects look like, on the CPU.

        Both networks play by the hinge loss (Lim & Ye, 2017, arXiv 1705.02894), and both see their patches moved and
        mirrored, so that few defects are not learned by heart (Zhao et al., "DiffAugment", 2020, arXiv 2006.10738).

        Args:
            bank: At least 50 defects.
            steps: Optimiser steps; some 1,500 are minutes on two cores. The same steps and seed give the same weights.
            seed: Every random choice follows from it.
            config: Options.
            progress: Told how far it is.

        Raises:
            DataError: If there are too few defects.
        """
        if len(bank) < LEAST_DEFECTS:
            msg = (
                f"{len(bank)} confirmed defects are too few to learn from; it takes {LEAST_DEFECTS}. Until then the "
                "family `confirmed` makes more of them, by cutting them out and blending them in"
            )
            raise DataError(msg)
        config = config or GenerativeConfig()
        torch.manual_seed(seed)
        real = to_patches(bank)
        network = DefectPainter(config.latent, config.width, bank.channels + 1)
        model = cls(config, bank, deepcopy(network))
        judge = Discriminator(config.width, bank.channels + 1)
        makers = torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(0.5, 0.999))
        judges = torch.optim.Adam(judge.parameters(), lr=config.learning_rate / 2, betas=(0.5, 0.999))
        started = time.monotonic()
        losses: dict[str, list[float]] = {"discriminator": [], "generator": []}
        for step in range(steps):
            draws = step_generator(seed, step)
            chosen = real[torch.randint(len(real), (config.batch,), generator=draws)]
            confirmed = _moved(turned(chosen, draws), draws)
            made = network(torch.randn(config.batch, config.latent, generator=draws))
            shifts = _draw_shifts(config.batch, draws)

            judged = judge(torch.cat([confirmed, shifted(made.detach(), shifts)]))
            loss = (
                functional.relu(1 - judged[: config.batch]).mean() + functional.relu(1 + judged[config.batch :]).mean()
            )
            judges.zero_grad()
            loss.backward()
            judges.step()

            fooled = -judge(shifted(made, shifts)).mean()
            makers.zero_grad()
            fooled.backward()
            makers.step()

            _follow(model.network, network, min(_MEAN_DECAY, step / (step + 10)))
            losses["discriminator"].append(float(loss.detach()))
            losses["generator"].append(float(fooled.detach()))
            progress(step + 1, steps, "learning defects")
        model.network.eval()
        model.steps = steps
        model.seconds = time.monotonic() - started
        model.history = {name: _thinned(values) for name, values in losses.items()}
        return model

    @torch.inference_mode()
    def patches(self, count: int, seed: int = 0) -> Tensor:
        """Samples ``[count, C + 1, 64, 64]``, -1..1; see ``learning.generative.patches.to_patches``."""
        noise = torch.randn(count, self.config.latent, generator=torch.Generator().manual_seed(seed))
        made: Tensor = self.network(noise)
        return made

    def sample(self, count: int, seed: int = 0) -> DefectBank:
        """Make defects, of sizes and on surroundings as the confirmed ones have.

        Args:
            count: How many.
            seed: The same seed gives the same defects.

        Raises:
            DataError: If nearly all samples are empty: the training failed.
        """
        draws = torch.Generator().manual_seed(seed)
        frames = frame_sides(self.bank)
        provenance = f"made by a network that learned from {len(self.bank)} confirmed defects"
        kinds = {defect.label for defect in self.bank.defects}
        # The network is told no kinds: of several, it is not known which of them a sample is.
        kind = kinds.pop() if len(kinds) == 1 else ""
        made: list[Defect] = []
        for attempt in range(_ATTEMPTS):
            for patch in self.patches(count, seed + attempt * 7919):
                if len(made) == count:
                    return DefectBank(tuple(made))
                if (patch[-1] > 0).float().mean() < _LEAST_MASK:
                    continue
                index = int(torch.randint(len(self.bank), (1,), generator=draws))
                factor = torch.empty(1).uniform_(*_SIZE, generator=draws).item()
                frame = max(6, round(frames[index] * factor))
                like = replace(self.bank.defects[index], label=kind)
                defect = to_defect(patch, like, frame, f"made-{seed}-{len(made)}", provenance)
                if defect.mask.max() > _CERTAIN:  # made small, a faint patch may have no place that is surely defective
                    made.append(defect)
        if len(made) < count:
            msg = f"only {len(made)} of {count} samples show a defect; train longer, or with another seed"
            raise DataError(msg)
        return DefectBank(tuple(made))

    def save(self, folder: Path) -> None:
        """Write weights, facts and the bank; nothing is pickled."""
        folder.mkdir(parents=True, exist_ok=True)
        save_bank(self.bank, folder / "bank")
        save_file({name: value.contiguous() for name, value in self.network.state_dict().items()}, folder / _WEIGHTS)
        share(folder / _WEIGHTS)
        facts = {
            "config": self.config.model_dump(),
            "steps": self.steps,
            "seconds": self.seconds,
            "history": self.history,
            "weights_sha256": file_sha256(folder / _WEIGHTS),
        }
        write_sealed(folder / _FACTS, facts)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            DataError: If there is none, or a file is missing or was changed.
        """
        try:
            facts = read_sealed(folder / _FACTS)
            if not (folder / _WEIGHTS).is_file() or file_sha256(folder / _WEIGHTS) != facts["weights_sha256"]:
                msg = f"{folder / _WEIGHTS} is missing or damaged; train again"
                raise DataError(msg)
            config = GenerativeConfig.model_validate(facts["config"])
            bank = load_bank(folder / "bank")
            network = DefectPainter(config.latent, config.width, bank.channels + 1)
            network.load_state_dict(load_file(folder / _WEIGHTS))
        except (BundleError, ValidationError, SafetensorError, KeyError, RuntimeError) as error:
            msg = f"{folder} holds no generative source that can be read ({' '.join(str(error).split())}); train again"
            raise DataError(msg) from error
        model = cls(config, bank, network.eval())
        model.steps, model.seconds, model.history = facts["steps"], facts["seconds"], facts["history"]
        return model


def _draw_shifts(count: int, draws: torch.Generator) -> list[tuple[int, int]]:
    shifts = torch.randint(-_MOST_SHIFT, _MOST_SHIFT + 1, (count, 2), generator=draws)
    return [(down, right) for down, right in shifts.tolist()]


def _moved(patches: Tensor, draws: torch.Generator) -> Tensor:
    return shifted(patches, _draw_shifts(len(patches), draws))


@torch.no_grad()
def _follow(mean: DefectPainter, network: DefectPainter, decay: float) -> None:
    """Move the averaged weights and batch statistics towards the network's; counters are copied."""
    for old, new in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def _thinned(values: list[float]) -> list[float]:
    length = max(1, -(-len(values) // 20))
    return [sum(values[i : i + length]) / len(values[i : i + length]) for i in range(0, len(values), length)]
