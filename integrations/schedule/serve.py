"""Prefect's server and its runner, for one flow by one schedule, in a process of ours.

Prefect reads its settings from the environment when it is imported, which nothing here does before they are made.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from curation.ports import free_port
from integrations.endings import endings_are_noted
from integrations.errors import ServerError
from integrations.serving import serving
from learning.errors import ConfigError

if TYPE_CHECKING:
    from prefect.runner import Runner
    from prefect.schedules import Schedule

    from integrations.orders import Order

SERVED_BY = "FLAWSMITH_SCHEDULER_PID"
"""Variable with the process without which a run ends: what nobody watches would train beside its own repetition."""

NAME = "line"
_IDLE = ("LATE_RUNS", "FOREMAN", "TRIGGERS", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP", "EVENT_PERSISTER")
"""Prefect's services that one flow has no use for; each of them writes to the same SQLite file every few seconds."""

_LONGEST_START = 300.0
_LOOK = 0.1
_STOPPING = "stopping: a run that is going on is cancelled, and what it had made is kept; once more ends it at once"


def settings(home: Path, port: int) -> dict[str, str]:
    """Prefect's settings for a server of our own: on this computer, for who started it, and reporting to nobody.

    Args:
        home: For its database, which goes on from what is there.
        port: Of the server.

    Returns:
        Variables of the environment. The word that lets in is another one each time.
    """
    word = f"flawsmith:{secrets.token_urlsafe(18)}"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_AUTH_STRING": word,
        "PREFECT_API_AUTH_STRING": word,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        # As there is no page, lines in the log name none.
        "PREFECT_UI_URL": "",
        # Prefect tells its makers of uses, by the server and by the SDK, unless it is told not to.
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _IDLE},
        SERVED_BY: str(os.getpid()),
    }


def use_settings(home: Path) -> int:
    """Have Prefect, which must not have been imported yet, use settings of ours and no others.

    Args:
        home: For its database; made where it is missing.

    Returns:
        The port for its server.

    Raises:
        ServerError: If Prefect is not installed.
    """
    if find_spec("prefect") is None:
        msg = (
            "Prefect is not installed: uv pip install -c constraints.txt -e '.[prefect]'; or let cron start flawsmith "
            "retrain challenger"
        )
        raise ServerError(msg)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    port = free_port()
    os.environ.update(settings(home.resolve(), port))
    return port


def schedule_of(cron: str | None, every: float | None) -> "Schedule":
    """A schedule by a cron expression, in this machine's time zone, or every so many minutes.

    Raises:
        ConfigError: If there are both or none, or it is no cron expression.
    """
    if (cron is None) == (every is None):
        msg = "say when to look whether a challenger is due: either --cron '0 2 * * *' or --every MINUTES"
        raise ConfigError(msg)
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.schedules import Cron, Interval
    from tzlocal import get_localzone_name

    if cron is None:
        return Interval(timedelta(minutes=every or 0))
    try:
        CronSchedule(cron=cron)
    except ValueError as error:
        msg = f"--cron {cron!r} is no cron expression: five fields such as '0 2 * * *', which is every night at two"
        raise ConfigError(msg) from error
    return Cron(cron, timezone=get_localzone_name())


def serve(order: "Order", tell: Callable[[str], None], *, cron: str | None = None, every: float | None = None) -> None:
    """Carry out an order by schedule, one run at a time, until Ctrl-C.

    Runs that a kill had ended go on; those that were missed while nothing was served are left out.

    Args:
        order: What is to be done.
        tell: Told what is going on, a line each.
        cron: When, in this machine's time zone.
        every: Minutes, instead.

    Raises:
        ServerError: If Prefect is not installed, or its server does not start.
        ConfigError: If there is no such schedule.
    """
    port = use_settings(order.home / "prefect")
    schedule = schedule_of(cron, every)
    from prefect.server.api.server import create_app

    with serving(create_app(final=True), port=port, longest_start=_LONGEST_START) as url:
        from prefect.runner import Runner
        from prefect.types.entrypoint import EntrypointType

        from integrations.schedule.flow import recover, retrain

        tell(f"[bold]{url}[/] is Prefect's scheduler, on this computer only (Ctrl-C ends it)")
        begun = recover()
        if begun:
            tell(f"runs that were killed and go on: {begun}")
        runner = Runner(name=NAME, limit=1)
        runner.add_flow(
            retrain,
            name=NAME,
            schedule=schedule,
            parameters={"order": order.model_dump(mode="json")},
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        _run_until_stopped(runner, tell)


def _run_until_stopped(runner: "Runner", tell: Callable[[str], None]) -> None:
    """Run what falls due until Ctrl-C or a kill, which cancels the run that is going on; a second one ends at once.

    The runner is in a thread of its own, so that signals come here: Prefect would leave by an exception from wherever
    the second one finds it.
    """
    with endings_are_noted() as ended, ThreadPoolExecutor(1, "runner") as thread:
        running = thread.submit(asyncio.run, runner.start())
        while not (wait([running], timeout=_LOOK).done or ended()):
            pass
        if ended():
            try:
                tell(_STOPPING)
            finally:
                # A terminal that was closed cannot be told anything, and what it started has to end all the same.
                while not (runner.started or running.done()):
                    time.sleep(_LOOK)
                if not running.done():
                    runner.execute_in_background(runner.astop)
        running.result()
