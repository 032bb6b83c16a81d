"""``flawsmith retrain serve``: challengers by schedule, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.challenger import DEFAULT_MINUTES, check_budget
from integrations.cli.console import ends_with_ctrl_c, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    BundleOption,
    CameraOption,
    Device,
    HomeOption,
    LedgerOption,
    SeedOption,
    absolute_ledger,
    existing_data,
    existing_ledger,
    resolve_device,
)


def add_to(app: typer.Typer) -> None:
    """Add the command to ``flawsmith retrain``."""
    app.command("serve")(serve)


def serve(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Good parts, as for [bold]train[/bold].", show_default=False)
    ],
    cron: Annotated[
        str | None,
        typer.Option(metavar="CRON", help="When to look, such as '0 2 * * *': every night at two.", show_default=False),
    ] = None,
    every: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Look so often instead.", min=0.05, show_default=False)
    ] = None,
    if_verdicts: Annotated[
        int, typer.Option(help="Train only if so many images are newly confirmed since the last challenger.", min=0)
    ] = 0,
    if_drift: Annotated[
        bool,
        typer.Option(
            "--if-drift", help="Train only after an alarm of [bold]flawsmith drift[/bold]; with both, either will do."
        ),
    ] = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    bundle: BundleOption = None,
    rules: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Of the challenge.", show_default="configs/challenge.yaml's")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Of the training.", show_default="as the champion's")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of a training.", show_default="10")] = None,
    steps: Annotated[int | None, typer.Option(help="Train this many steps instead.", min=1)] = None,
    camera: CameraOption = None,
    seed: SeedOption = 0,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
) -> None:
    """Do what [bold]retrain challenger[/bold] does by schedule, as a Prefect flow, until Ctrl-C.

    The scheduler is in this process and listens on this computer only; nothing is reported to anybody. A run that is
    killed goes on, at once or when this is started again, and the champion decides until a challenger has won.

    Example: [bold]flawsmith retrain serve photos/good --cron "0 2 * * *" --if-verdicts 50 --if-drift[/bold]
    """
    existing_ledger(ledger)
    existing_data(data)
    check_budget(minutes, steps)
    from integrations.orders import Order
    from integrations.schedule.serve import serve as serve_until_ctrl_c

    order = Order(
        data=data.resolve(),
        # A run that was killed may go on from another folder.
        ledger=absolute_ledger(ledger),
        home=home.resolve(),
        bundle=bundle and bundle.resolve(),
        rules=rules and rules.resolve(),
        config=config and config.resolve(),
        minutes=minutes or DEFAULT_MINUTES,
        steps=steps,
        if_new=if_verdicts,
        if_drift=if_drift,
        camera=camera or "",
        seed=seed,
        device=resolve_device(device),
    )
    ends_with_ctrl_c()
    serve_until_ctrl_c(order, say, cron=cron, every=every)
