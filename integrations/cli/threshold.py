"""``flawsmith threshold``: move the threshold to another promise, without touching the model."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from integrations.cli.console import print_json, say
from integrations.cli.options import (
    DEFAULT_LEDGER,
    BundleArgument,
    JsonOption,
    LedgerOption,
    SeedOption,
    existing_bundle,
    existing_ledger,
)
from learning.errors import ConfigError, PromiseError

if TYPE_CHECKING:
    from integrations.labelled import Counted, LabelledParts
    from learning.bundle import Bundle
    from learning.thresholds import Threshold

_COSTS = "escape=100,reject=1"


class By(StrEnum):
    """What may have a value of its own."""

    CAMERA = "camera"
    LOT = "lot"


def threshold(
    bundle: BundleArgument,
    max_false_reject: Annotated[
        float | None,
        typer.Option(help="At most this share of good parts is rejected, e.g. 0.01 for 1 %.", show_default=False),
    ] = None,
    max_escape: Annotated[
        float | None,
        typer.Option(help="At most this share of defective parts is accepted, by the verdicts.", show_default=False),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(metavar=_COSTS, help="Least expected cost, by the verdicts, and its bound.", show_default=False),
    ] = None,
    review_zone: Annotated[
        bool,
        typer.Option("--review-zone", help="Both limits: a person decides about parts between two thresholds."),
    ] = False,
    by: Annotated[
        By | None,
        typer.Option(
            help="With --max-false-reject: each camera or lot that has calibration parts enough gets a value and the "
            "promise of its own.",
            show_default=False,
        ),
    ] = None,
    defect_class: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="With --max-escape: only defects that inspectors call so.", show_default=False
        ),
    ] = None,
    critical: Annotated[
        bool, typer.Option("--critical", help="With --max-escape: only defects that inspectors call critical.")
    ] = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    random_sample: Annotated[
        bool,
        typer.Option(
            "--random-sample",
            help="Use verdicts that nobody asked for, of parts that are a simple random sample; by default those that "
            "were asked for, weighted by how they were chosen.",
        ),
    ] = False,
    reading_error: Annotated[
        float, typer.Option(help="Share of parts that inspectors are taken to read wrongly at most.")
    ] = 0.0,
    confidence: Annotated[float, typer.Option(help="How sure the promise is.")] = 0.95,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Set the threshold so that it keeps a promise. The model is not touched.

    About good parts, the parts that were held back for calibration decide. About escapes and costs, the verdicts in
    the ledger do. Where there are too few to carry the promise it is refused, with the number of parts that it takes:
    1 % of good parts with 95 % confidence takes 299 independent ones, 5 % of defective parts takes 59 of a random
    sample.

    Example: [bold]flawsmith threshold runs/bracket --max-false-reject 0.01[/bold], or
    [bold]--max-false-reject 0.01 --by camera[/bold], or [bold]--max-escape 0.05 --ledger line3.db[/bold], or
    [bold]--costs escape=100,reject=1[/bold]
    """
    existing_bundle(bundle)
    _check_what_is_asked(max_false_reject, max_escape, costs, review_zone)
    _check_what_it_is_about(max_escape, by, defect_class is not None or critical, costs)
    prices = _read_costs(costs) if costs is not None else None
    from learning.bundle import Bundle, by_group
    from learning.calibration import calibration_decisions
    from learning.origins import thresholds_by_origin
    from learning.promises import cost_threshold, escape_threshold
    from learning.promises import review_zone as find_zone
    from learning.thresholds import Threshold, conformal_threshold, false_reject_bound

    loaded = Bundle.load(bundle)
    current = loaded.thresholds.current()
    # Not shifted: the values of cameras or lots are set anew, or there are none any more.
    calibration = calibration_decisions(loaded, current.model_copy(update={"origins": None}))
    good = by_group(calibration, "decision_score")
    found = None
    if max_escape is not None or prices is not None:
        from integrations.labelled import Counted

        found = _verdicts(ledger, loaded, random_sample, Counted(defect_class, critical))
    zone = origins = None
    if found is None:
        assert max_false_reject is not None
        if by is None:
            value, promise = conformal_threshold(good, max_false_reject, confidence)
        else:
            value, promise, origins = thresholds_by_origin(calibration, by.value, max_false_reject, confidence)
    else:
        with _reasons_for_too_few(found):
            if prices is not None:
                value, promise = cost_threshold(found.labelled, *prices, confidence, reading_error, seed)
            elif max_false_reject is None:
                assert max_escape is not None
                value, promise = escape_threshold(found.labelled, max_escape, confidence, reading_error)
            else:
                assert max_escape is not None
                zone = find_zone(good, found.labelled, max_false_reject, max_escape, confidence, reading_error)
                value, promise = zone.value, zone.promise
    version = loaded.thresholds.add(
        Threshold(
            value=value,
            promise=promise,
            fallback=current.fallback,
            reason="set on the command line",
            review_up_to=zone.review_up_to if zone else None,
            review_promise=zone.review_promise if zone else None,
            origins=origins,
        )
    )
    stored = loaded.thresholds.get(version)
    rejects = None if found is None else false_reject_bound(good, value, confidence).text
    if as_json:
        print_json(stored.model_dump(mode="json") | _figures(found, rejects))
        return
    say(f"threshold {version}: {value:.4g} (before: {current.value:.4g}), {promise.text}")
    _say_of_origins(stored, current)
    if stored.review_up_to is not None and stored.review_promise is not None:
        say(f"a person decides above it and up to {stored.review_up_to:.4g}; beyond, {stored.review_promise.text}")
    if found is not None:
        say(f"of good parts: {rejects}")
        _say_what_was_left_out(found)
    if _is_looser(stored, current):
        say(f"this is a looser promise than before: {current.promise.text}")


def _check_what_is_asked(
    max_false_reject: float | None, max_escape: float | None, costs: str | None, review_zone: bool
) -> None:
    limits = (max_false_reject is not None, max_escape is not None)
    if costs is not None and (any(limits) or review_zone):
        msg = "--costs goes alone: the least cost keeps no limit"
    elif review_zone and not all(limits):
        msg = "--review-zone takes both limits: --max-escape for what is accepted, --max-false-reject for the rest"
    elif all(limits) and not review_zone:
        msg = "one threshold keeps one limit: take one of the two, or add --review-zone, where a person decides between"
    elif costs is None and not any(limits):
        msg = f"say what to promise: --max-false-reject 0.01, --max-escape 0.05, or --costs {_COSTS}"
    else:
        return
    raise ConfigError(msg)


def _check_what_it_is_about(max_escape: float | None, by: By | None, of_a_kind: bool, costs: str | None) -> None:
    if by is not None and (max_escape is not None or costs is not None):
        msg = (
            "--by goes with --max-false-reject alone: verdicts carry a promise about all cameras and lots together, "
            f"which need not hold for each {by.value}"
        )
    elif of_a_kind and max_escape is None:
        msg = "--defect-class and --critical say which escapes are promised: they go with --max-escape"
    else:
        return
    raise ConfigError(msg)


def _read_costs(text: str) -> tuple[float, float]:
    """Costs of an escape and of a false reject."""
    pairs = [pair.partition("=") for pair in text.replace(" ", "").split(",")]
    named = {name: price for name, _, price in pairs}
    try:
        if len(pairs) != 2:
            raise ValueError
        return float(named["escape"]), float(named["reject"])
    except (KeyError, ValueError):
        msg = f"--costs {text}: write it as {_COSTS}"
        raise ConfigError(msg) from None


@contextmanager
def _reasons_for_too_few(found: "LabelledParts") -> Iterator[None]:
    """A promise that is refused for want of parts says which were left out, and why."""
    try:
        yield
    except PromiseError as error:
        if not found.left_out:
            raise
        reasons = "; ".join(f"{count} parts that {reason}" for reason, count in found.left_out.items())
        msg = f"{error}; left out: {reasons}"
        raise PromiseError(msg, error.needed, error.available) from error


def _verdicts(ledger: str, bundle: "Bundle", random_sample: bool, counted: "Counted") -> "LabelledParts":
    existing_ledger(ledger)
    from curation.ledger import Ledger
    from integrations.labelled import labelled_parts

    with Ledger.open(ledger) as opened:
        return labelled_parts(opened, bundle, random_sample, counted)


def _figures(found: "LabelledParts | None", rejects: str | None) -> dict[str, Any]:
    if found is None:
        return {}
    labelled = found.labelled
    return {
        "good_parts": rejects,
        "labelled": {
            "parts": len(labelled.scores),
            "defective": int(labelled.defective.sum()),
            "unresolved": 0 if labelled.unresolved is None else int(labelled.unresolved.sum()),
            "weighted": labelled.weights is not None,
            "unanswered": found.unanswered,
            "left_out": found.left_out,
            "other_defects": found.other_defects,
        },
    }


def _say_of_origins(now: "Threshold", before: "Threshold") -> None:
    if now.origins is None:
        if before.origins is not None:
            say(f"[yellow]one value decides for every {before.origins.by}[/] from now on; before, some had their own")
        return
    by = now.origins.by
    for name, own in now.origins.limits.items():
        say(f"  {by} {name}: {own.value:.4g}, {own.promise.text}")
    for name, lack in now.origins.lacking.items():
        say(f"  [yellow]{by} {name}: the shared value[/], as it has {lack} calibration groups too few for its own")
    say(now.origins.text)


def _say_what_was_left_out(found: "LabelledParts") -> None:
    from learning.promises import DEFECTIVE

    unresolved = 0 if found.labelled.unresolved is None else int(found.labelled.unresolved.sum())
    if unresolved:
        about = "disagreement or unsure" if found.labelled.kind == DEFECTIVE else "disagreement, unsure, or not named"
        say(f"[yellow]{unresolved} parts are unresolved[/] ({about}): the worst was taken of them")
    if found.other_defects:
        say(f"{found.other_defects} defective parts do not count: they are no {found.labelled.kind}")
    if found.unanswered:
        say(f"[yellow]{found.unanswered} questions are open[/]: the promise takes them for a random share of all")
    for reason, count in found.left_out.items():
        say(f"[yellow]left out:[/] {count} parts that {reason}")


def _is_looser(now: "Threshold", before: "Threshold") -> bool:
    kinds = [(one.promise.kind, one.promise.defects) for one in (now, before)]
    return kinds[0] == kinds[1] and now.promise.kind != "cost" and now.promise.limit > before.promise.limit
