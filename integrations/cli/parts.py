"""``flawsmith parts``: make up parts to try things on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import bar, say
from integrations.cli.options import SeedOption


class Kind(StrEnum):
    """What can be made up."""

    TILE = "tile"
    FASTENER = "fastener"
    LABEL = "label"
    BOARD = "board"
    LINE = "line"


def parts(
    kind: Annotated[
        Kind,
        typer.Option(
            help="tile: a textured surface; fastener: an object that turns; label: print; board: a circuit with its "
            "parts. line: tiles, fasteners and labels on one production line, good parts and two streams.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write.", show_default=False)],
    good: Annotated[int, typer.Option(help="Good parts to learn from (of each kind).", min=1)] = 120,
    test_good: Annotated[int, typer.Option(help="Good parts to test on.", min=0)] = 40,
    defective: Annotated[int, typer.Option(help="Defective parts to test on.", min=0)] = 60,
    stream: Annotated[int, typer.Option(help="Parts in each stream of a line.", min=1)] = 150,
    exposures: Annotated[int, typer.Option(help="Pictures of each part, lit from different sides.", min=1)] = 1,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.", min=64)] = 256,
    seed: SeedOption = 0,
) -> None:
    """Make up a data set with known defects, to try things on. The same seed gives the same bytes.

    The defects are not drawn by the code that training uses, so that they are as strange to a detector as real ones.

    Example: [bold]flawsmith parts --kind tile --out data/tiles[/bold], then
    [bold]flawsmith train data/tiles --out runs/tiles --minutes 3[/bold]
    """
    from synth.parts import make_line, make_parts

    with bar("run it again: it begins anew") as progress:
        if kind is Kind.LINE:
            make_line(out, good=good, stream=stream, exposures=exposures, seed=seed, size=size, progress=progress)
        else:
            make_parts(
                out,
                kind.value,
                good=good,
                test_good=test_good,
                defective=defective,
                exposures=exposures,
                seed=seed,
                size=size,
                progress=progress,
            )
    say(f"parts are in [green]{out}[/]")
