"""The training of a backbone: many processes draw episodes, one learns from them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from benchmarks.comparing.episodes import Episode, EpisodeConfig, make_episode
from benchmarks.comparing.network import Comparer, coarse, rows
from learning.detectors.base import Budget
from learning.detectors.inputs import standardise
from learning.detectors.segment.detector import SegmentConfig
from learning.detectors.segment.losses import compute_losses
from learning.loop import LoopReport, Schedule
from learning.loop import train as train_loop
from learning.metrics import image_auroc
from learning.progress import Progress, silent

_EMA = 0.999
_ALONE = 0.25
"""Share of products whose queries are seen without the comparison."""

_JUDGED = 10**9
"""Seeds of episodes that judge; those that train are drawn far above."""


def new_network() -> Comparer:
    """A network for grey pictures, of the sizes that ``segment`` has by default."""
    config = SegmentConfig()
    return Comparer(2, config.widths, config.stem)


def pretrain(
    config: EpisodeConfig,
    budget: Budget,
    seed: int,
    device: str = "cpu",
    workers: int = 0,
    learning_rate: float = 2e-3,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> tuple[Comparer, LoopReport]:
    """Train a backbone on products made of formulas.

    Args:
        config: Of the episodes.
        budget: Minutes or steps.
        seed: Every random choice follows from it.
        device: To learn and to draw products on.
        workers: Processes that draw episodes; 0 draws them in a thread of this one.
        learning_rate: The highest.
        progress: Told the fraction of the budget that is used.
        checkpoint: Folder for the state of an interrupted run, which the next call goes on from.

    Returns:
        The network, on the device, and what the loop did.
    """
    torch.manual_seed(seed)
    network = new_network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with _episodes(config, device, workers) as make:
        report = train_loop(
            network,
            make,
            partial(_losses, SegmentConfig().loss_share, device, config.references),
            budget,
            seed,
            Schedule(learning_rate),
            ema_decay=_EMA,
            device=device,
            progress=progress,
            checkpoint=checkpoint,
            text="pretraining",
        )
    return network, report


@contextmanager
def _episodes(config: EpisodeConfig, device: str, workers: int) -> Iterator[Callable[[Generator], Episode]]:
    if not workers:
        yield lambda generator: make_episode(config, generator.initial_seed(), device)
        return
    # Spawned, as a forked process could not use the device; and a thread each, as there are as many processes.
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield lambda generator: pool.submit(make_episode, config, generator.initial_seed(), device).result()


def _inputs(episode: Episode, device: str) -> Tensor:
    images = torch.from_numpy(episode.images).to(device).flatten(0, 1)[:, None].float() / 255
    return _laid_out(standardise(images))


def _losses(share: float, device: str, references: int, network: nn.Module, episode: Episode) -> dict[str, Tensor]:
    """Of the queries, and of what the comparison alone says of them; some products are seen without it."""
    products = len(episode.images)
    images = _inputs(episode, device).unflatten(0, (products, -1))
    good, asked = images[:, :references].flatten(0, 1), images[:, references:].flatten(0, 1)
    masks = torch.from_numpy(episode.masks).to(device).flatten(0, 1)[:, None].float()
    told = torch.rand(products, 1, 1, 1, device=device) >= _ALONE
    logits, compared = network(
        _laid_out(asked), _laid_out(good), products, told.float().repeat_interleave(len(asked) // products, dim=0)
    )
    named = {
        "queries": compute_losses(logits.float(), masks, share),
        "comparison": compute_losses(*coarse(masks, compared), share),
    }
    return {f"{name} {kind}": value for name, losses in named.items() for kind, value in losses.items()}


def _laid_out(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Judgement:
    """Image AUROC within products it has never seen: of pictures alone, compared, and both."""

    alone: float
    compared: float
    both: float


@torch.inference_mode()
def judge(network: Comparer, config: EpisodeConfig, episodes: int, device: str) -> Judgement:
    """Judge a network on products that none was trained on, each by its own queries; the mean over products."""
    found: dict[str, list[float]] = {"alone": [], "compared": [], "both": []}
    network.eval()
    for number in range(episodes):
        episode = make_episode(config, _JUDGED + number, device)
        images = _inputs(episode, device).unflatten(0, (config.products, -1))
        good, asked = images[:, : config.references].flatten(0, 1), images[:, config.references :].flatten(0, 1)
        places = rows(network.places(good), config.products)
        both, compared = network.look(asked, places)
        alone, _ = network.look(asked, places, torch.zeros((), device=device))
        flawed = torch.from_numpy(episode.masks).flatten(2).any(dim=2)
        for name, logits in (("alone", alone), ("compared", compared.logits), ("both", both)):
            flat = logits.float().flatten(1)
            count = max(1, round(flat.shape[1] * SegmentConfig().loss_share))
            highest = flat.topk(count, dim=1).values.mean(dim=1).cpu().view(config.products, -1)
            found[name] += [
                image_auroc(highest[p].numpy(), flawed[p].numpy())
                for p in range(config.products)
                if 0 < int(flawed[p].sum()) < config.queries
            ]
    return Judgement(**{name: sum(values) / len(values) for name, values in found.items()})
