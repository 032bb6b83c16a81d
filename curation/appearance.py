"""How the App shows a data set of inspection images."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from curation.connection import COLORSCALE
from curation.tag_sync import FINDING

# The App shows three decimals of every number: the percentile tells parts apart on any scale of scores.
SHOWN = ("anomaly_map", "confirmed_mask", "percentile", "score", "decision", "verdict", "ask_reason")
GREEN, RED, AMBER, SLATE, BLUE = "#2e9e5b", "#d93025", "#e8a100", "#5b6673", "#3b7dd8"
COLORS = {
    "decision": {"accept": GREEN, "reject": RED},
    "verdict": {"good": GREEN, "defect": RED, "unresolved": AMBER},
}
GROUPS = {
    "labels": ("anomaly_map", "confirmed_mask"),
    "inspection": (
        "percentile",
        "score",
        "threshold",
        "decision",
        "verdict",
        "ask_reason",
        "ask_state",
        "defect_class",
        "severity",
    ),
    "origin": ("part", "group", "lot", "camera", "time", "file_missing"),
    "tags": ("tags", "_label_tags"),
    "model": ("model_id", "threshold_version", "decision_score"),
    "other": ("id", "filepath", "image_id", "sync_hash", "synced_tags", "created_at", "last_modified_at"),
    "metadata": (
        "metadata.size_bytes",
        "metadata.mime_type",
        "metadata.width",
        "metadata.height",
        "metadata.num_channels",
    ),
}
FOLDED = ("model", "other", "metadata")


def show_findings(dataset: Any, tags: Collection[str]) -> None:
    """Save a view of each kind of finding of ``curate check``, named by its tag; those of kinds without any go.

    Args:
        dataset: A ``fiftyone.Dataset``.
        tags: All that its samples have.
    """
    wanted = {tag for tag in tags if tag.startswith(FINDING)}
    held = {name for name in dataset.list_saved_views() if name.startswith(FINDING)}
    for name in sorted(wanted - held):
        from curation.quality.findings import KINDS  # brings torch along

        kind = name.removeprefix(FINDING)
        dataset.save_view(name, dataset.match_tags(name), description=KINDS[kind][1] if kind in KINDS else None)
    for name in held - wanted:
        dataset.delete_saved_view(name)


def dress(dataset: Any) -> None:
    """Set which fields and colours the App shows, its groups of fields and the views that are saved with it.

    Args:
        dataset: A ``fiftyone.Dataset``.
    """
    import fiftyone as fo
    from fiftyone import ViewField

    config = dataset.app_config
    config.active_fields = fo.ActiveFields(exclude=False, paths=list(SHOWN))
    config.color_scheme = fo.ColorScheme(
        color_by="value",
        # One quiet colour for all that has none of its own: numbers would get a random one each.
        color_pool=[SLATE],
        opacity=0.7,
        fields=[
            *(
                {
                    "path": path,
                    "fieldColor": SLATE,
                    "valueColors": [{"value": value, "color": color} for value, color in values.items()],
                }
                for path, values in COLORS.items()
            ),
            {"path": "confirmed_mask", "maskTargetsColors": [{"intTarget": 255, "color": "#18b7e8"}]},
        ],
        colorscales=[{"path": "anomaly_map", "name": COLORSCALE}],
    )
    config.sidebar_groups = [
        fo.SidebarGroupDocument(name=name, paths=list(paths), expanded=name not in FOLDED)
        for name, paths in GROUPS.items()
    ]
    dataset.save()
    views = {
        "highest score first": dataset.sort_by("score", reverse=True),
        "rejected": dataset.match(ViewField("decision") == "reject").sort_by("score", reverse=True),
        "asked": dataset.match(ViewField("ask_reason") != None),  # noqa: E711 (a field's expression)
        "unresolved": dataset.match(ViewField("verdict") == "unresolved"),
    }
    for name, view in views.items():
        if not dataset.has_saved_view(name):
            dataset.save_view(name, view)
