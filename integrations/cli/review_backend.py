"""``flawsmith review backend``: what Label Studio asks us, answered until Ctrl-C."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.cli.challenger import DEFAULT_MINUTES
from integrations.cli.console import bar, ends_with_ctrl_c, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    CameraOption,
    Device,
    HomeOption,
    LedgerOption,
    existing_data,
    existing_ledger,
    resolve_device,
)
from integrations.cli.review import DEFAULT_PROJECT, ProjectOption, folders
from learning.errors import ConfigError

if TYPE_CHECKING:
    from integrations.label_studio.backend import Retraining

DEFAULT_PORT = 8091
"""Always the same one: addresses of pictures name it."""
_THIS_COMPUTER = ("127.0.0.1", "localhost")


def add_to(app: typer.Typer) -> None:
    """Add the command to ``flawsmith review``."""
    app.command("backend")(backend)


def backend(
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    project: ProjectOption = DEFAULT_PROJECT,
    host: Annotated[str, typer.Option(help="Address to listen on; another than this opens it to a network.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = DEFAULT_PORT,
    url: Annotated[
        str | None,
        typer.Option(help="Where Label Studio and browsers reach it.", show_default="http://HOST:PORT"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Good parts: retrain challengers on them, as [bold]retrain challenger[/bold] does.",
            show_default="nothing is trained",
        ),
    ] = None,
    if_verdicts: Annotated[
        int | None,
        typer.Option(
            help="Retrain by itself when so many images are newly confirmed.",
            min=1,
            show_default="only when Label Studio's button is pressed",
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Of a training.", min=0.01)] = DEFAULT_MINUTES,
    rules: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Of the challenge.", show_default="configs/challenge.yaml's")
    ] = None,
    camera: CameraOption = None,
    device: Annotated[Device, typer.Option(help="Where to compute predictions.")] = Device.AUTO,
) -> None:
    """Answer Label Studio until Ctrl-C: predictions, pictures at signed addresses, and new verdicts as they come.

    It connects itself to the project as its ML backend. An answer wakes it, and it fetches what is new; while it is
    closed nothing is lost: the next [bold]pull[/bold], or its next start, brings it. With --data, Label Studio's
    [bold]Start training[/bold] trains a challenger, one at a time, which decides only if it proves to be better.

    Example: [bold]flawsmith review backend --data photos/good --if-verdicts 50[/bold]
    """
    existing_ledger(ledger)
    if if_verdicts is not None and data is None:
        msg = "--if-verdicts trains challengers: say on which good parts, with --data"
        raise ConfigError(msg)
    if host == "0.0.0.0" and url is None:
        msg = "--host 0.0.0.0 is no address that others can use: say with --url how they reach it"
        raise ConfigError(msg)
    from contextlib import ExitStack
    from urllib.parse import urlsplit

    from curation.ledger import Ledger
    from curation.set_versions import new_since_last
    from integrations.label_studio.backend import (
        EnoughNew,
        Errands,
        Predictor,
        connect_backend,
        make_app,
        origins_of,
    )
    from integrations.label_studio.client import url_of
    from integrations.label_studio.gallery import SignedPictures
    from integrations.label_studio.project import ensure_project, inspectors_of
    from integrations.label_studio.pull import pull
    from integrations.label_studio.server import label_studio
    from integrations.serving import serving

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("integrations").setLevel(logging.INFO)
    training = None if data is None else _training(existing_data(data), ledger, home, minutes, rules, camera)
    ends_with_ctrl_c()
    with ExitStack() as stack:
        opened = stack.enter_context(Ledger.open(ledger))
        with bar("the same command starts it again") as progress:
            client = stack.enter_context(label_studio(*folders(home), progress))
            number = ensure_project(client, project)
            inspectors = inspectors_of(client, number)

        def fetch() -> None:
            nonlocal inspectors
            inspectors = inspectors_of(client, number)
            report = pull(opened, client, number, home / "masks")
            if report.new or report.changed or report.withdrawn:
                say(f"{report.new} new verdicts, {report.changed} changed, {report.withdrawn} withdrawn")

        def train() -> bool:
            if training is None:
                say("[yellow]asked to train, which takes --data[/]: nothing was done")
                return True
            return training.start()

        enough = EnoughNew(lambda: new_since_last(opened, camera or ""), if_verdicts) if if_verdicts else lambda: False
        errands = Errands(fetch, enough, train)
        app = make_app(
            Predictor(opened, resolve_device(device)),
            errands,
            SignedPictures.of(opened.place, home),
            opened,
            lambda: inspectors,
            origins_of(url_of(client)),
            [*_THIS_COMPUTER, host, str(urlsplit(url or "").hostname)],
        )
        with serving(app, host, port) as here:
            connect_backend(client, number, url or here)
            say(f"[bold]{url or here}[/] answers Label Studio at {url_of(client)}/projects/{number} (Ctrl-C ends it)")
            say(f"pictures by signed addresses: flawsmith review push --signed-pictures {url or here}")
            if host not in _THIS_COMPUTER:
                say("[yellow]it is open to a network[/]: whoever reaches it can ask for predictions and for a training")
            try:
                with errands:
                    while True:
                        time.sleep(1)
            except KeyboardInterrupt:
                say("closed; answers are fetched by the next review pull, or when this is started again")
            finally:
                if training is not None:
                    training.stop()


def _training(
    data: Path, ledger: str, home: Path, minutes: float, rules: Path | None, camera: str | None
) -> "Retraining":
    """The command as a person would give it."""
    from integrations.label_studio.backend import Retraining

    options = {"--ledger": ledger, "--home": home, "--minutes": minutes, "--rules": rules, "--camera": camera}
    given = [str(part) for name, value in options.items() if value is not None for part in (name, value)]
    return Retraining([str(data), *given, "--if-verdicts", "1"], home / "retraining.log")
