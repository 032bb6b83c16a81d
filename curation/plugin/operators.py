"""Operators: what a data team does to the samples that it selected.

Each is a thin layer over ``curation.actions`` and ``curation.lookalikes``, which do the same without the App. Run one
from Python with ``foo.execute_operator("@flawsmith/inspection/mark_good", dict(dataset=…, selected=[…], params=…))``.
"""

from __future__ import annotations

import getpass
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from curation.actions import mark, send_to_inspection, use_as_source
from curation.by_choice import make_version
from curation.connection import database_errors
from curation.errors import DatabaseError
from curation.indexing import BRAIN_KEY, search_errors
from curation.lookalikes import why_decided
from curation.plugin.binding import image_ids, ledger_of, open_view, refresh
from curation.plugin.selecting import show_selected
from curation.samples import held_by
from learning.errors import UserError

if TYPE_CHECKING:
    from curation.ledger import Ledger

NEAREST = 25


class SelectedOperator(foo.Operator, ABC):
    """An operator on the selected samples, or the one that is open; errors of users become a notice."""

    name: str
    label: str
    icon: str
    does = ""
    """What the button of the form says; by default the label."""
    hint = ""
    """What a person has to know who sees the form."""
    takes_view = False
    """Whether all samples of the open view are meant where none is selected."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App lists."""
        return foo.OperatorConfig(name=self.name, label=self.label, icon=self.icon, dynamic=True)

    def resolve_placement(self, ctx: Any) -> types.Placement:
        """A button above the grid; as a primary action it would be orange, as if it were open."""
        return types.Placement(
            types.Places.SAMPLES_GRID_SECONDARY_ACTIONS,
            types.Button(label=self.label, icon=self.icon, prompt=True),
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """A form that says how many samples are meant."""
        inputs = types.Object()
        count = len(self.meant(ctx))
        if count:
            said = "one sample" if count == 1 else f"{count} selected" if _selected(ctx) else f"all {count} of the view"
            inputs.view("count", types.Notice(label=said, description=self.hint))
            self.ask(ctx, inputs)
        else:
            none = types.Warning(label="Select samples first", description="Nothing is selected.")
            inputs.view("none", none)
        form = types.PromptView(label=self.label, submit_button_label=self.does or self.label)
        return types.Property(inputs, view=form)

    def meant(self, ctx: Any) -> list[str]:
        """Ids of the samples that it is for."""
        chosen = _selected(ctx)
        return chosen if chosen or not self.takes_view else list(open_view(ctx).values("id"))

    def ask(self, ctx: Any, inputs: types.Object) -> None:
        """Add what the operator needs to know to its form."""

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Do it.

        Returns:
            ``text``, and what else the operator found.
        """
        try:
            with database_errors():
                selected = self.meant(ctx)
                if not selected:
                    msg = "Select samples first"
                    raise DatabaseError(msg)
                with ledger_of(ctx.dataset) as ledger:
                    answer = self.do(ctx, ledger, image_ids(ctx.dataset, selected))
        except UserError as error:
            ctx.ops.notify(str(error), variant="error")
            return {"text": str(error), "failed": True}
        # Else the next button would be about the same samples again, which may be out of sight by then.
        ctx.ops.clear_selected_samples()
        ctx.ops.notify(answer["text"].splitlines()[0], variant="success")
        return answer

    @abstractmethod
    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Do it to images of the ledger."""


class SendToInspection(SelectedOperator):
    """The selected samples become asks."""

    name, label, icon = "send_to_inspection", "Send to inspection", "/assets/inspect.svg"
    hint = "Inspectors are asked about them; flawsmith review push brings the questions to Label Studio."

    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Ask about them."""
        sent = send_to_inspection(ledger, keys)
        refresh(ctx.dataset, ledger, sent.asked)
        _show_again(ctx)
        more = [f"{len(sent.waiting)} are waiting for an answer already"] if sent.waiting else []
        more += [f"{len(sent.unscored)} were never scored and left out"] if sent.unscored else []
        text = "; ".join([f"{len(sent.asked)} sent to inspection", *more])
        return {"text": text, "asked": sent.asked, "waiting": sent.waiting, "unscored": sent.unscored}


class FindMore(SelectedOperator):
    """Shows what looks like the selected samples, among all."""

    name, label, icon = "find_more_like_this", "Find more like this", "/assets/search.svg"

    def ask(self, ctx: Any, inputs: types.Object) -> None:
        """How many."""
        inputs.int("k", label="How many", default=NEAREST, min=1, max=1000)

    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Search the whole data set, whatever view is open."""
        count = int(ctx.params.get("k") or NEAREST)
        with search_errors(ctx.dataset):
            view = ctx.dataset.sort_by_similarity(_selected(ctx), k=count, brain_key=BRAIN_KEY)
        ctx.ops.set_view(view)
        found = view.values("id")
        return {"text": f"{len(found)} most similar samples of the whole data set", "ids": found}


class _Telling(SelectedOperator):
    """Has more to say than fits a notice."""

    def resolve_output(self, ctx: Any) -> types.Property:
        """All of it, in words."""
        outputs = types.Object()
        outputs.str("text", label=self.label, view=types.MarkdownView())
        return types.Property(outputs)


class WhyDecided(_Telling):
    """Says why one sample was rejected or accepted, and shows its nearest good part and confirmed defect beside it."""

    name, label, icon = "why_decided", "Why this decision?", "/assets/why.svg"
    does = "Tell me"

    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Explain the first one."""
        reasons = why_decided(ledger, keys[0])
        others = [one.image_id for one in (reasons.good, reasons.defect) if one is not None]
        ids = _samples(ctx.dataset, [keys[0], *others])
        ctx.ops.set_view(ctx.dataset.select(ids, ordered=True))
        return {"text": reasons.text.replace("\n", "\n\n"), "ids": ids}


class _Mark(SelectedOperator):
    """Gives the selected samples a verdict."""

    verdict: Any

    def ask(self, ctx: Any, inputs: types.Object) -> None:
        """By whom."""
        inputs.str("who", label="Your name", default=getpass.getuser(), required=False)

    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Record verdicts."""
        who = str(ctx.params.get("who") or getpass.getuser())
        kind, severity = (ctx.params.get(name) or None for name in ("defect_class", "severity"))
        count = mark(ledger, keys, self.verdict, who, kind, severity)
        refresh(ctx.dataset, ledger, keys)
        _show_again(ctx)
        text = f"{count} marked as {self.verdict} by {who}"
        return {"text": text + (f"; {len(keys) - count} were so already" if count < len(keys) else ""), "marked": count}


class MarkGood(_Mark):
    """The selected samples are good."""

    name, label, icon, verdict = "mark_good", "Mark as good", "/assets/good.svg", "good"


class MarkDefect(_Mark):
    """The selected samples are defective."""

    name, label, icon, verdict = "mark_defect", "Mark as defect", "/assets/defect.svg", "defect"

    def ask(self, ctx: Any, inputs: types.Object) -> None:
        """By whom, what kind it is, and how bad."""
        super().ask(ctx, inputs)
        known = types.AutocompleteView(
            choices=[types.Choice(kind, label=kind) for kind in ctx.dataset.distinct("defect_class")]
        )
        inputs.str("defect_class", label="Kind of defect", view=known, required=False)
        inputs.enum("severity", ["critical", "not critical"], label="How bad it is", required=False)


class SpreadVerdict(_Telling):
    """Shows near twins of samples that have no verdict, selected; marking them is the next step."""

    name, label, icon = "spread_verdict", "Spread this verdict", "/assets/spread.svg"
    does = "Show its near twins"
    hint = "Near twins of any of them, without a verdict, are selected, to be looked at and marked. Nothing is written."

    def ask(self, ctx: Any, inputs: types.Object) -> None:
        """How near twins have to be, where what the ledger says of it will not do."""
        inputs.float(
            "distance", label="Distance, 0 to 2 (empty: learnt from verdicts and unrelated images)", required=False
        )

    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Propose."""
        from curation.spreading import propose_twins  # brings torch along, which the App's server can do without

        proposal = propose_twins(ledger, keys, distance=ctx.params.get("distance"))
        twins = _samples(ctx.dataset, [one.image_id for one in proposal.twins])
        text = proposal.text
        if twins:
            show_selected(ctx, ctx.dataset.select([*_samples(ctx.dataset, keys), *twins], ordered=True), twins)
            text += f": look at those selected, then mark them as {proposal.verdict}"
        return {"text": text, "ids": twins, "verdict": proposal.verdict}


class MakeVersion(SelectedOperator):
    """A named list of images and what is confirmed of them, that never changes."""

    name, label, icon = "make_version", "Make a training set version", "/assets/version.svg"
    takes_view = True

    def ask(self, ctx: Any, inputs: types.Object) -> None:
        """How it is called, and whether what nobody has judged is good."""
        inputs.str("name", label="Name", required=True)
        inputs.bool("assume_good", label="Take samples without a verdict as good", default=False)
        inputs.str("who", label="Your name", default=getpass.getuser(), required=False)
        inputs.str("note", label="Note", required=False)

    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Store it."""
        params = ctx.params
        chosen_by = "selection in FiftyOne" if _selected(ctx) else "view in FiftyOne"
        chosen = make_version(
            ledger,
            str(params.get("name") or ""),
            keys,
            chosen_by,
            bool(params.get("assume_good")),
            str(params.get("who") or getpass.getuser()),
            str(params.get("note") or ""),
        )
        return {"text": chosen.text, "fingerprint": chosen.row.fingerprint}


class UseAsSource(SelectedOperator):
    """New flaws are made from the confirmed defects of the selected samples."""

    name, label, icon = "use_as_source", "Use as synthesis source", "/assets/source.svg"
    hint = (
        "flawsmith defects --chosen cuts out their confirmed defects, to make new flaws of. What has no defect that an "
        "inspector has confirmed and marked is left out."
    )

    def ask(self, ctx: Any, inputs: types.Object) -> None:
        """By whom."""
        inputs.str("who", label="Your name", default=getpass.getuser(), required=False)

    def do(self, ctx: Any, ledger: Ledger, keys: Sequence[str]) -> dict[str, Any]:
        """Tag them."""
        chosen = use_as_source(ledger, keys, str(ctx.params.get("who") or getpass.getuser()))
        refresh(ctx.dataset, ledger, chosen.taken)
        _show_again(ctx)
        return {"text": chosen.text, "taken": chosen.taken, "left_out": chosen.left_out}


OPERATORS: tuple[Callable[..., SelectedOperator], ...] = (
    SendToInspection, FindMore, MarkGood, MarkDefect, WhyDecided, SpreadVerdict, UseAsSource, MakeVersion,
)  # fmt: skip
"""In the order of their buttons, the most used first: not all have room above the grid."""


def _samples(dataset: Any, keys: Sequence[str]) -> list[str]:
    """Ids of the samples of images, in the order given; those that were never synced are missing."""
    found = held_by(dataset, keys)
    return [str(found[key].sample) for key in keys if key in found]


def _show_again(ctx: Any) -> None:
    """Have the App show what was written; ``reload_samples`` of FiftyOne 1.22 draws what the browser already has."""
    ctx.ops.reload_dataset()


def _selected(ctx: Any) -> list[str]:
    """The selected samples, or the one that is open."""
    chosen = list(ctx.selected or [])
    return chosen or ([ctx.current_sample] if getattr(ctx, "current_sample", None) else [])
