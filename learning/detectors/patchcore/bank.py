"""The memory bank, searched by FAISS, and the image score that knows how crowded the memory is."""

import faiss
import torch
from torch import Tensor


class MemoryBank:
    """Features of good places.

    Args:
        rows: ``[M, D]``, what is remembered.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows.float().contiguous()
        self._index = faiss.IndexFlatL2(rows.shape[1])
        self._index.add(self.rows.cpu().numpy())

    def nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest row of each query.

        Args:
            queries: ``[N, D]``.

        Returns:
            Euclidean distances ``[N]``, and indices ``[N]``.
        """
        indices = self._search(queries, 1)[:, 0]
        # FAISS takes squares of differences of large numbers for many queries, and not for few; this does not depend
        # on how many there are.
        return (queries - self.rows[indices]).square().sum(dim=1).sqrt(), indices

    def around(self, indices: Tensor, count: int) -> Tensor:
        """The rows nearest to rows ``[B]``, each itself first: ``[B, count, D]``."""
        return self.rows[self._search(self.rows[indices], count)]

    def _search(self, queries: Tensor, count: int) -> Tensor:
        found = self._index.search(queries.float().cpu().contiguous().numpy(), min(count, len(self.rows)))[1]
        return torch.from_numpy(found).to(self.rows.device)


def image_scores(distances: Tensor, nearest: Tensor, queries: Tensor, bank: MemoryBank, neighbours: int) -> Tensor:
    """Score of each image: the largest distance of its places, weighted by how rare its nearest memory is.

    Equations 6 and 7 of the paper: with m^test the place farthest from memory, m* its nearest row and N_b(m*) the b
    rows nearest to m*,

        s = (1 - exp |m^test - m*| / sum over m in N_b(m*) of exp |m^test - m|) * |m^test - m*|

    Args:
        distances: ``[B, P]`` of the places to memory.
        nearest: ``[B, P]`` which row each is nearest to.
        queries: ``[B, P, D]`` features of the places.
        bank: The memory.
        neighbours: b; 1 takes the distance as it is.

    Returns:
        ``[B]``.
    """
    largest, place = distances.max(dim=1)
    if neighbours == 1 or len(bank.rows) == 1:
        return largest
    every = torch.arange(len(distances), device=distances.device)
    around = bank.around(nearest[every, place], neighbours)
    spread = (queries[every, place][:, None] - around).square().sum(dim=2).sqrt()
    return (1 - spread.softmax(dim=1)[:, 0]) * largest
