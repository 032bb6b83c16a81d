"""Samples as FiftyOne's database has them: read and written many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from curation.errors import LedgerError
from curation.rows import Row

if TYPE_CHECKING:
    from bson import ObjectId

HASH = "sync_hash"
SYNCED_TAGS = "synced_tags"
"""Tags that a sample had after the last sync: what differs from them was changed in the App since."""
MAP_RANGE = [64, 255]
"""Of a map's 0 to 255 what the App colours: lower values stay transparent, so that the part can be seen."""

Dataset = Any
"""A ``fiftyone.Dataset``: importing FiftyOne takes 6 s, so its types are not named here."""


@dataclass(frozen=True, slots=True)
class Held:
    """A sample, as far as a sync has to know it.

    Attributes:
        sample: Its id.
        hash: Of the row that it shows; None where it was not written by a sync.
        tags: That it has.
        synced_tags: That it had after the last sync; None before the first one that knew of tags.
        modified_at: When it was last changed.
    """

    sample: ObjectId
    hash: str | None
    tags: frozenset[str]
    synced_tags: frozenset[str] | None
    modified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Write:
    """What is to be written over a sample.

    Attributes:
        row: The row that it is to show; None where that has not changed.
        add: Tags to give it.
        remove: Tags to take away.
        synced_tags: Those that it then has by what is known here; what people do meanwhile stays as it is.
    """

    row: Row | None
    add: frozenset[str]
    remove: frozenset[str]
    synced_tags: frozenset[str]

    @property
    def shows(self) -> bool:
        """Whether somebody could see the difference."""
        return self.row is not None or bool(self.add) or bool(self.remove)


def open_dataset(name: str) -> Dataset:
    """The data set of this name with our fields; made where there is none.

    Raises:
        LedgerError: If FiftyOne does not take the name.
    """
    import fiftyone as fo
    import fiftyone.core.utils as fou

    try:
        fou.to_slug(name)
    except ValueError as error:
        msg = f"{name!r} cannot be the name of a data set in FiftyOne: it takes letters or digits, and not too many"
        raise LedgerError(msg) from error
    if fo.dataset_exists(name):
        dataset = fo.load_dataset(name)
        dataset.reload()
    else:
        dataset = fo.Dataset(name, persistent=True)
    schema = dataset.get_field_schema()
    for path, kind in _fields().items():
        if path not in schema:
            if isinstance(kind, type) and issubclass(kind, fo.Label):
                dataset.add_sample_field(path, fo.EmbeddedDocumentField, embedded_doc_type=kind)
            elif isinstance(kind, fo.ListField):
                dataset.add_sample_field(path, fo.ListField, subfield=fo.StringField)
            else:
                dataset.add_sample_field(path, kind)
    if "image_id" not in dataset.get_index_information():
        dataset.create_index("image_id", unique=True)
        dataset.create_index("score")
    return dataset


def held_by(dataset: Dataset, image_ids: Iterable[str] | None = None) -> dict[str, Held]:
    """What FiftyOne holds, by image id: all, or of some images."""
    wanted = {} if image_ids is None else {"image_id": {"$in": list(image_ids)}}
    fields = ("image_id", HASH, "tags", SYNCED_TAGS, "last_modified_at")
    found = {}
    for one in _collection(dataset).find(wanted, dict.fromkeys(fields, 1)).batch_size(10_000):
        synced = one.get(SYNCED_TAGS)
        found[one.get("image_id")] = Held(
            one["_id"],
            one.get(HASH),
            frozenset(one.get("tags") or ()),
            None if synced is None else frozenset(synced),
            one.get("last_modified_at"),
        )
    return found


class SampleWriter:
    """Writes rows as FiftyOne's own documents.

    What all documents have in common is asked of FiftyOne once, and the rest is filled in: making each by its classes
    takes twenty times as long.
    """

    def __init__(self, dataset: Dataset) -> None:
        import fiftyone as fo

        self._dataset = dataset
        labels = {
            "anomaly_map": fo.Heatmap(map_path="of", range=MAP_RANGE),
            "confirmed_mask": fo.Segmentation(mask_path="of"),
        }
        # A first sample, never stored: a path says that it is a picture.
        document = dataset._make_dict(fo.Sample(filepath="one.png", **labels))
        self._labels = {key: (document.pop(key), f"{key.split('_')[1]}_path") for key in labels}
        self._common = document

    def add(self, rows: Sequence[Row], tags: Mapping[str, frozenset[str]]) -> None:
        """Add samples.

        Args:
            rows: Of images that the data set has not.
            tags: By image id.
        """
        from fiftyone.core.media import IMAGE
        from fiftyone.core.odm.sample import _generate_rand

        if not rows:
            return
        now = datetime.now(UTC)
        documents = []
        for row in rows:
            own = sorted(tags.get(row.image_id, ()))
            content = {key: value for key, value in self._content(row).items() if value is not None}
            documents.append(
                {
                    **self._common,
                    **content,
                    "_rand": _generate_rand(),
                    "created_at": now,
                    "last_modified_at": now,
                    "tags": own,
                    SYNCED_TAGS: own,
                }
            )
        if self._dataset.media_type is None:
            self._dataset.media_type = IMAGE
        _collection(self._dataset).insert_many(documents, ordered=False)

    def update(self, writes: Mapping[ObjectId, Write]) -> None:
        """Write over samples, each and its hash at once; the rest of them is left alone."""
        from pymongo import UpdateOne

        now = datetime.now(UTC)
        operations = []
        for sample, write in writes.items():
            content: dict[str, Any] = {} if write.row is None else self._content(write.row)
            content[SYNCED_TAGS] = sorted(write.synced_tags)
            if write.shows:
                content["last_modified_at"] = now
            operations.append(UpdateOne({"_id": sample}, _change(content, write)))
        if operations:
            # One write per sample; FiftyOne's set_values takes one per field and sample, a sixth of the speed.
            _collection(self._dataset).bulk_write(operations, ordered=False)

    def _content(self, row: Row) -> dict[str, Any]:
        from bson import ObjectId

        content = {**row.values, HASH: row.hash}
        for key, (label, path) in self._labels.items():
            if content[key] is not None:
                content[key] = {**label, "_id": ObjectId(), path: content[key]}
        return content


def _change(content: dict[str, Any], write: Write) -> Any:
    """The update of a sample: one, so that what is remembered of its tags and its tags never part."""
    if not write.remove:
        added = {"$addToSet": {"tags": {"$each": sorted(write.add)}}} if write.add else {}
        return {"$set": content, **added}
    # Only what this sync decided: a tag that somebody gives at this moment stays.
    kept = {"$setDifference": [{"$ifNull": ["$tags", []]}, {"$literal": sorted(write.remove)}]}
    tags = {"$setUnion": [kept, {"$literal": sorted(write.add)}]}
    return [{"$set": {**{key: {"$literal": value} for key, value in content.items()}, "tags": tags}}]


def _fields() -> dict[str, Any]:
    import fiftyone as fo

    origin = ("image_id", "part", "group", "lot", "camera", "model_id")
    text = (*origin, "decision", "verdict", "ask_reason", "ask_state", "defect_class", "severity")
    numbers = ("score", "decision_score", "percentile", "threshold")
    return {
        **dict.fromkeys(text, fo.StringField),
        **dict.fromkeys(numbers, fo.FloatField),
        "threshold_version": fo.IntField,
        "time": fo.DateTimeField,
        "file_missing": fo.BooleanField,
        "anomaly_map": fo.Heatmap,
        "confirmed_mask": fo.Segmentation,
        HASH: fo.StringField,
        SYNCED_TAGS: fo.ListField(fo.StringField()),
    }


def _collection(dataset: Dataset) -> Any:
    import fiftyone.core.odm as foo

    return foo.get_db_conn()[dataset._sample_collection_name]
