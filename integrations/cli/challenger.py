"""``flawsmith retrain challenger`` and what belongs to it: champions, set versions, the shadow."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from integrations.cli.console import bar, print_json, say
from integrations.cli.options import (
    DEFAULT_HOME,
    DEFAULT_LEDGER,
    BundleOption,
    CameraOption,
    Device,
    HomeOption,
    JsonOption,
    LedgerOption,
    SeedOption,
    existing_bundle,
    existing_data,
    existing_ledger,
    resolve_device,
)
from integrations.cli.sets import compare, sets
from learning.errors import ConfigError
from learning.starts import Start

if TYPE_CHECKING:
    from curation.ledger import ChallengeRow
    from integrations.succession import Outcome
    from learning.detectors import Budget

DEFAULT_MINUTES = 10.0
_SHOWN = 10
_NEXT = (
    "the next run under a condition (retrain serve, or retrain challenger, with --if-verdicts or --if-drift) is due by "
    "this alone: by the same rules it judges the challenger once more, on what is confirmed by then, and promotes it "
    "if it still wins; nothing is trained for that"
)
_NEXT_JUDGED_ONLY = (
    "nothing by itself; the same command without --judge-only promotes it, if nothing was confirmed since and it wins"
)
"""What becomes of challengers that won and do not decide."""


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``flawsmith retrain``."""
    app.command("challenger")(challenger)
    app.command("status")(status)
    app.command("rollback")(rollback)
    app.command("appoint")(appoint)
    app.command("shadow")(shadow)
    app.command("sets")(sets)
    app.command("compare")(compare)
    app.command("version")(version)
    app.command("publish")(publish)


def challenger(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Good parts, as for [bold]train[/bold].", show_default=False)
    ],
    ledger: LedgerOption = DEFAULT_LEDGER,
    home: HomeOption = DEFAULT_HOME,
    bundle: BundleOption = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML", help="What it has to show, as configs/challenge.yaml.", show_default="that file's"
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Of the training.", show_default="as the champion's")
    ] = None,
    start: Annotated[
        Start | None,
        typer.Option(help="Which weights it begins with.", show_default="as the rules say: the champion's, if it can"),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of the training.", show_default="10")] = None,
    steps: Annotated[int | None, typer.Option(help="Train this many steps instead.", min=1)] = None,
    if_new: Annotated[
        int,
        typer.Option(
            "--if-new",
            "--if-verdicts",
            help="Do nothing unless so many images are newly confirmed since the last one.",
            min=0,
        ),
    ] = 0,
    if_drift: Annotated[
        bool,
        typer.Option(
            "--if-drift",
            help="Do nothing unless [bold]flawsmith drift[/bold] has an alarm that no challenger was judged after; "
            "with --if-verdicts, either will do.",
        ),
    ] = False,
    judge_only: Annotated[bool, typer.Option("--judge-only", help="Promote nothing, whatever comes of it.")] = False,
    groups: Annotated[
        str | None, typer.Option(metavar="FILE|REGEX", help="Which images belong together, as in train.")
    ] = None,
    camera: CameraOption = None,
    seed: SeedOption = 0,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    as_json: JsonOption = False,
) -> None:
    """Train a challenger on all that inspectors confirmed; it replaces the champion only if it proves to be better.

    It goes on from the champion's weights where its detector can do so. A share of the confirmed parts is held back for
    good: nothing learns from them, and both models are judged on them. It can be stopped and repeated at any moment:
    the champion decides until the challenger has won.

    Example: [bold]flawsmith retrain challenger photos/good --ledger plant.db --minutes 30[/bold]
    """
    existing_ledger(ledger)
    existing_data(data)
    check_budget(minutes, steps)
    from integrations.orders import Order, carry_out, is_due

    order = Order(
        data=data,
        ledger=ledger,
        home=home,
        bundle=bundle,
        rules=rules,
        config=config,
        start=start,
        minutes=minutes or DEFAULT_MINUTES,
        steps=steps,
        if_new=if_new,
        if_drift=if_drift,
        promote=not judge_only,
        groups=groups,
        camera=camera or "",
        seed=seed,
        device=resolve_device(device),
    )
    if order.conditional:
        with bar() as progress:
            due = is_due(order, progress)
        if not due.due:
            if as_json:
                print_json({"trained": False, "new": due.new, "drift": list(due.drift)})
            say(f"{due.text}: nothing was done")
            return
        if not as_json:
            say(due.text)
    with bar("the champion decides as before; the same command goes on from where it was") as progress:
        outcome = carry_out(order, progress, lambda text: None if as_json else say(text))
    if as_json:
        print_json(outcome.report())
    else:
        _tell(outcome)


def status(ledger: LedgerOption = DEFAULT_LEDGER, as_json: JsonOption = False) -> None:
    """Say which models decide, how they came to, what became of the challengers, and whether one waits to be promoted.

    Example: [bold]flawsmith retrain status --json[/bold]
    """
    existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations.succession import standing_winners

    with Ledger.open(ledger) as opened:
        paths = {model.model_id: str(model.path) for model in opened.models()}
        champions = opened.champions()
        challenges = opened.challenges()
        cameras = {row.camera for row in champions}
        waiting, judged_only = (
            # The newest of a camera is the one that is judged again.
            [row for camera in sorted(cameras) for row in standing_winners(opened, camera, judged_only=only)[:1]]
            for only in (False, True)
        )
    current = {row.camera: row for row in champions}
    if as_json:
        print_json(
            {
                "champions": [
                    {"camera": row.camera, "model": row.model_id, "bundle": paths.get(row.model_id), "since": row.at}
                    for row in current.values()
                ],
                "history": [
                    {
                        "camera": row.camera,
                        "model": row.model_id,
                        "event": row.event,
                        "at": row.at,
                        "reason": row.reason,
                    }
                    for row in champions
                ],
                "challenges": [
                    {
                        "camera": row.camera,
                        "champion": row.champion_id,
                        "challenger": row.challenger_id,
                        "training_set": row.training_set,
                        "frozen_set": row.frozen_set,
                        "wins": row.wins,
                        "text": row.text,
                        "at": row.at,
                    }
                    for row in challenges
                ],
                "waiting": [_winner(row, paths, _NEXT) for row in waiting],
                "judged_only": [_winner(row, paths, _NEXT_JUDGED_ONLY) for row in judged_only],
            }
        )
        return
    if not current:
        say("no champion was appointed: the model that scored last decides")
    for row in current.values():
        camera = f"camera {row.camera}: " if row.camera else ""
        say(f"{camera}[bold]{row.model_id}[/] in {paths.get(row.model_id)}, {row.event} {row.at:%Y-%m-%d %H:%M} UTC")
    for one in challenges[-_SHOWN:]:
        say(f"{one.at:%Y-%m-%d %H:%M} {one.challenger_id}: {one.text}")
    for one in waiting:
        _tell_winner(_winner(one, paths, _NEXT), "[green]has won and waits to be promoted[/]: its run was ended before")
    for one in judged_only:
        _tell_winner(_winner(one, paths, _NEXT_JUDGED_ONLY), "[green]has won[/], and was only to be judged")


def _winner(row: "ChallengeRow", paths: dict[str, str], then: str) -> dict[str, Any]:
    """A challenger that won and does not decide, as plain data."""
    return {
        "camera": row.camera,
        "challenger": row.challenger_id,
        "bundle": paths.get(row.challenger_id),
        "champion": row.champion_id,
        "judged_at": row.at,
        "why": [gate["text"] for gate in json.loads(row.report)["gates"]],
        "next": then,
    }


def _tell_winner(winner: dict[str, Any], what: str) -> None:
    camera = f"camera {winner['camera']}: " if winner["camera"] else ""
    say(f"{camera}[bold]{winner['challenger']}[/] in {winner['bundle']} {what}")
    say(f"  judged {winner['judged_at']:%Y-%m-%d %H:%M} UTC beside {winner['champion']}, which decides until then")
    for reason in winner["why"]:
        say(f"  {reason}")
    say(f"  next: {winner['next']}")


def rollback(
    ledger: LedgerOption = DEFAULT_LEDGER,
    camera: CameraOption = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "",
) -> None:
    """Let the model decide again that decided before the champion.

    Example: [bold]flawsmith retrain rollback --reason "rejects too much since Monday"[/bold]
    """
    existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations.succession import folder_of
    from integrations.succession import rollback as roll_back

    with Ledger.open(ledger) as opened:
        row = roll_back(opened, camera or "", reason)
        say(f"[green]{row.model_id}[/] decides again, instead of {row.previous}: {folder_of(opened, row.model_id)}")


def appoint(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="The model that is to decide from now on.", show_default=False)
    ],
    ledger: LedgerOption = DEFAULT_LEDGER,
    camera: CameraOption = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "",
) -> None:
    """Let a model decide from now on, judged by nobody: the first one, or one that took the place of a lost champion.

    Example: [bold]flawsmith retrain appoint runs/bracket --reason "trained anew after the new lens"[/bold]
    """
    existing_ledger(ledger)
    existing_bundle(bundle)
    from curation.ledger import Ledger
    from integrations.succession import appoint as appoint_model
    from learning.bundle import Bundle

    with Ledger.open(ledger) as opened:
        loaded = Bundle.load(bundle)
        before = opened.champion(camera or "")
        if before is not None and before.model_id == loaded.fingerprint:
            say(f"{loaded.fingerprint} is the champion already: nothing was changed")
            return
        row = appoint_model(opened, loaded, reason, camera or "")
    instead = f", instead of {row.previous}" if row.previous else ""
    say(f"[green]{row.model_id}[/] decides from now on{instead}: {bundle}")


def shadow(ledger: LedgerOption = DEFAULT_LEDGER, as_json: JsonOption = False) -> None:
    """Say where challengers in the shadow would have decided otherwise; [bold]score --shadow[/bold] records it.

    Example: [bold]flawsmith retrain shadow[/bold]
    """
    existing_ledger(ledger)
    from dataclasses import asdict

    from curation.ledger import Ledger
    from integrations.shadow import report_on

    with Ledger.open(ledger) as opened:
        rows = opened.shadow()
        pairs = dict.fromkeys((row.champion_id, row.challenger_id) for row in rows)
        paths = {image.image_id: str(image.path) for image in opened.images()}
        reports = {
            pair: report_on(opened, [row for row in rows if (row.champion_id, row.challenger_id) == pair])
            for pair in pairs
        }
    if as_json:
        print_json(
            {
                "comparisons": [
                    {"champion": champion, "challenger": challenger}
                    | asdict(report)
                    | {"differing": [paths[image_id] for image_id in report.differing]}
                    for (champion, challenger), report in reports.items()
                ]
            }
        )
        return
    if not reports:
        say("nothing was scored in the shadow yet: flawsmith score champion IMAGES --shadow challenger --ledger …")
    for (champion, challenger), report in reports.items():
        say(f"[bold]{challenger}[/] beside {champion}: {report.text()}")
        for image_id in report.differing[-_SHOWN:]:
            say(f"  {paths[image_id]}")
        if len(report.differing) > _SHOWN:
            say(f"  and {len(report.differing) - _SHOWN} before these: --json lists all")


def version(
    name: Annotated[str, typer.Argument(metavar="SET", help="Name of the version.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="BUNDLE", help="Folder to write.", show_default=False)],
    ledger: LedgerOption = DEFAULT_LEDGER,
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Configuration, as in configs/.", show_default=False)
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of the training.", show_default="10")] = None,
    steps: Annotated[int | None, typer.Option(help="Train this many steps instead.", min=1)] = None,
    seed: SeedOption = 0,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
) -> None:
    """Train a model on a training-set version, which its bundle and card then name.

    It does not decide by itself: score with it, or let a challenger be judged.

    Example: [bold]flawsmith retrain version spring --out runs/spring --minutes 10[/bold]
    """
    existing_ledger(ledger)
    budget = _budget(minutes, steps)
    from curation.ledger import Ledger
    from integrations.versions import train_on_version
    from learning.config import TrainConfig, load_config

    settings = load_config(config) if config else TrainConfig()
    with Ledger.open(ledger) as opened, bar("the same command goes on from where training was") as progress:
        bundle = train_on_version(
            opened,
            name,
            out,
            config=settings,
            budget=budget,
            seed=seed,
            device=resolve_device(device),
            progress=progress,
        )
    say(f"[green]{out}[/], trained on {name}: {bundle.thresholds.current().words}")


def publish(
    to: Annotated[
        str,
        typer.Option(
            envvar="MLFLOW_TRACKING_URI",
            metavar="URI",
            help="The registry: sqlite:///FILE, which takes no server, or http://…",
            show_default=False,
        ),
    ],
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Bring an MLflow registry up to what the ledger says: versions, lineage, judgements, aliases. It can be repeated.

    The aliases are [bold]champion[/bold] and [bold]challenger[/bold]. The ledger stays the truth: what is changed in
    the registry changes nothing here.

    Example: [bold]flawsmith retrain publish --to sqlite:///mlflow.db[/bold]
    """
    existing_ledger(ledger)
    from dataclasses import asdict

    from curation.ledger import Ledger
    from integrations.registry import publish as bring_up_to_date

    with Ledger.open(ledger) as opened:
        found = bring_up_to_date(opened, to)
    if as_json:
        print_json(asdict(found))
        return
    say(
        f"[green]{', '.join(found.models)}[/]: {found.versions} versions, {found.added} of them new; "
        f"{found.judgements} new judgements"
    )


def check_budget(minutes: float | None, steps: int | None) -> None:
    """Refuse minutes beside steps, and no time at all.

    Raises:
        ConfigError: Saying which.
    """
    if minutes is not None and steps is not None:
        msg = "--minutes and --steps exclude each other: give one of them"
        raise ConfigError(msg)
    if minutes is not None and minutes <= 0:
        msg = f"--minutes must be above 0; got {minutes:g}"
        raise ConfigError(msg)


def _budget(minutes: float | None, steps: int | None) -> "Budget":
    check_budget(minutes, steps)
    from learning.detectors import Budget

    return Budget(steps=steps) if steps else Budget(minutes=minutes or DEFAULT_MINUTES)


def _tell(outcome: "Outcome") -> None:
    row = outcome.row
    if outcome.left_out:
        say(f"[yellow]{outcome.left_out} images of the data did not train[/]: they are held back for judging")
    say(f"the challenger [green]{row.text}[/]" if row.wins else f"the challenger is [yellow]{row.text}[/]")
    decides = outcome.challenger if outcome.promoted else outcome.champion
    said = "decides from now on" if outcome.promoted else "decides as before"
    say(f"[bold]{decides.folder}[/] {said}: {decides.thresholds.current().words}")
