"""The whole loop on a made-up production line, from good parts to a better threshold."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from integrations.demo.settings import DemoSettings
from integrations.demo.state import DemoState
from integrations.report import Measurement
from learning.errors import ConfigError
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from integrations.demo.steps import Demo

REPORT = "report.html"
INSPECTORS = ("scripted", "me")


def run_demo(
    folder: Path,
    inspector: str = "scripted",
    minutes: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
    console: Console | None = None,
    *,
    keep: bool = False,
    settings: DemoSettings | None = None,
) -> Measurement:
    """Run the loop; interrupted at any moment, the next call goes on from there.

    Args:
        folder: For everything: the line, the bundle, the ledger, the servers' data, the report.
        inspector: ``scripted`` answers through Label Studio's API; ``me`` waits for a person.
        minutes: Budget of the training; by default that of ``DemoSettings``.
        seed: Every random choice follows from it.
        progress: Told how far each step is.
        console: Where the tables are printed.
        keep: Leave FiftyOne and Label Studio open until Ctrl-C.
        settings: Everything, in place of ``minutes`` and ``seed``.

    Returns:
        Before and after, on the second stream.

    Raises:
        UserError: If the folder holds something else, or a server is not to be had.
    """
    if inspector not in INSPECTORS:
        msg = f"the inspector is {inspector!r}; choose from {', '.join(INSPECTORS)}"
        raise ConfigError(msg)
    if settings is None:
        settings = DemoSettings(seed=seed) if minutes is None else DemoSettings(seed=seed, minutes=minutes)
    folder = folder.resolve()
    console = console or Console()
    state = DemoState.open(folder, settings)

    from curation.ledger import Ledger
    from integrations.demo.facts import report_of
    from integrations.demo.servers import Servers
    from integrations.demo.steps import STEPS, WITH_LABEL_STUDIO, Demo
    from integrations.demo.table import before_after
    from integrations.report import write_report

    home = folder / "home"
    try:
        with Ledger.open(folder / "ledger.db") as ledger, Servers(home, folder / "pictures") as servers:
            demo = Demo(state, ledger, servers, inspector, progress, console)
            if not state.done(*WITH_LABEL_STUDIO):
                servers.start_label_studio()
            for number, (name, (title, step)) in enumerate(STEPS.items(), 1):
                if state.done(name):
                    console.print(f"[dim]{number:2}  {title}: done before[/]", highlight=False)
                    continue
                with state.step(name) as result:
                    result.update(step(demo))
                took = state.steps[name].seconds
                console.print(f"{number:2}  {title} [dim]({took:.0f} s)[/]", highlight=False)
            measurement = Measurement.model_validate(state.result("compare")["measurement"])
            progress(0, 1, "writing the report")
            report = write_report(report_of(demo), folder / REPORT)
            progress(1, 1, "done")
            console.print(before_after(measurement))
            for camera in measurement.cameras:
                text = f"{camera.comparison.name} after: {camera.after.promise}."
                console.print(text, highlight=False, soft_wrap=True)
            console.print(f"Report with pictures: [bold]{report}[/]", highlight=False, soft_wrap=True)
            if keep or (inspector == "me" and console.is_terminal):
                _stay(demo)
    except KeyboardInterrupt:
        console.print("\n[yellow]stopped[/]; servers are ended, and the same command goes on from here")
        raise
    return measurement


def _stay(demo: "Demo") -> None:
    """Leave the servers open until Ctrl-C."""
    import signal
    from contextlib import suppress

    from integrations.demo.steps import DATASET
    from integrations.label_studio.client import url_of

    app = demo.servers.open_app(DATASET)
    demo.console.print(
        f"FiftyOne: [bold]{app}[/]\nLabel Studio: [bold]{url_of(demo.client)}[/], log in {demo.servers.log_in()}\n"
        "Ctrl-C ends both.",
        highlight=False,
        soft_wrap=True,
    )
    with suppress(KeyboardInterrupt):
        signal.pause()
