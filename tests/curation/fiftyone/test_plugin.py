import importlib.machinery
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.dataset import index_similarity, sync
from curation.ledger import Ledger, VerdictEntry
from curation.mongo import MongoServer
from curation.plugin.binding import uncover_packages
from tests.curation.test_actions import COUNT, ledger  # noqa: F401 (a fixture)

pytestmark = pytest.mark.server
PLUGIN = "@flawsmith/inspection"


@pytest.fixture
def dataset(server: MongoServer, ledger: Ledger) -> Iterator[Any]:  # noqa: F811
    import fiftyone as fo

    sync(ledger, "plugin test")
    index_similarity(ledger, "plugin test", "m")
    yield fo.load_dataset("plugin test")
    server.start()
    if fo.dataset_exists("plugin test"):
        fo.delete_dataset("plugin test")


def _run(
    dataset: Any, operator: str, selected: list[str], opened: Mapping[str, Any] = MappingProxyType({}), **params: Any
) -> dict[str, Any]:
    import fiftyone.operators as foo

    ctx = {"dataset": dataset, "view": dataset.view(), "selected": selected, "params": params, **opened}
    done = foo.execute_operator(f"{PLUGIN}/{operator}", ctx=ctx)
    if hasattr(done, "raise_exceptions"):
        done.raise_exceptions()
    answer: dict[str, Any] = done.result
    return answer


def _ids(dataset: Any, ledger: Ledger) -> list[str]:  # noqa: F811
    """Sample ids in the order in which the ledger has the images."""
    found = dict(zip(*dataset.values(["image_id", "id"]), strict=True))
    return [found[image.image_id] for image in ledger.images()]


def test_all_that_is_named_is_registered(server: MongoServer) -> None:
    import fiftyone.operators as foo
    import yaml

    import curation.plugin

    named = yaml.safe_load((Path(curation.plugin.__file__).parent / "fiftyone.yml").read_text())
    found = {one.name for one in foo.list_operators() if one.uri.startswith(f"{PLUGIN}/")}
    assert found == {*named["operators"], *named["panels"]}
    for one in foo.list_operators():
        if one.uri.startswith(f"{PLUGIN}/"):
            assert (Path(curation.plugin.__file__).parent / one.config.icon.lstrip("/")).is_file()


def test_samples_are_selected_no_more_once_a_button_has_done_its_work(
    dataset: Any,
    ledger: Ledger,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fiftyone.operators.operations import Operations

    cleared: list[str] = []
    monkeypatch.setattr(Operations, "clear_selected_samples", lambda _: cleared.append("cleared"))
    ids = _ids(dataset, ledger)
    buttons = {"send_to_inspection": {}, "mark_good": {}, "why_decided": {}, "find_more_like_this": {"k": 3}}
    for button, params in buttons.items():
        cleared.clear()
        assert "failed" not in _run(dataset, button, [ids[0]], **params)
        assert cleared == ["cleared"], button
    cleared.clear()
    # Whoever has to try again has them selected still.
    assert "no model has scored" in _run(dataset, "why_decided", [ids[-1]])["text"]
    assert cleared == []


def test_selected_samples_become_asks_and_show_it(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    answer = _run(dataset, "send_to_inspection", [ids[0], ids[-1]])
    assert answer["text"] == "1 sent to inspection; 1 were never scored and left out"
    assert len(ledger.asks("created")) == 1
    dataset.reload()
    assert dataset[ids[0]].ask_reason == "chosen by hand"
    again = sync(ledger, "plugin test")
    assert (again.updated, again.unchanged) == (0, COUNT)


def test_marks_are_verdicts_and_show_at_once(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    kind = {"defect_class": "dent", "severity": "critical"}
    assert _run(dataset, "mark_defect", ids[:2], who="ann", **kind)["marked"] == 2
    assert _run(dataset, "mark_good", ids[1:2], who="ann")["text"] == "1 marked as good by ann"
    dataset.reload()
    assert [dataset[key].verdict for key in ids[:3]] == ["defect", "good", None]
    assert {verdict.defect_class for verdict in ledger.verdicts()} == {"dent", None}
    assert (dataset[ids[0]].defect_class, dataset[ids[0]].severity) == ("dent", "critical")


def test_more_like_this_looks_at_the_whole_data_set(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    assert _run(dataset, "find_more_like_this", [ids[1]], k=3)["ids"] == [ids[1], ids[0], ids[2]]
    dataset.delete_brain_run("similar")
    assert "curate sync" in _run(dataset, "find_more_like_this", [ids[1]])["text"]


def test_why_shows_the_neighbours_beside_it(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    _run(dataset, "mark_defect", [ids[1]], who="ann")
    answer = _run(dataset, "why_decided", [ids[0]])
    assert answer["ids"] == [ids[0], ids[4], ids[1]]
    assert "nearest confirmed defect" in answer["text"]


def test_sources_are_tagged_in_the_ledger_and_the_rest_is_said(
    dataset: Any,
    ledger: Ledger,  # noqa: F811
    tmp_path: Path,
) -> None:
    ids = _ids(dataset, ledger)
    _run(dataset, "mark_good", ids[1:2], who="ann")
    first, mask = ledger.images()[0].image_id, tmp_path / "mask.png"
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(mask)
    said = VerdictEntry(None, first, "ann", "defect", "2026-03-01T00:00:00Z", "t", first, "1", mask)
    ledger.record_verdicts([said])
    answer = _run(dataset, "use_as_source", ids[:3], who="ann")
    assert answer["text"].startswith("1 is a source of flaws now; left out: 1 (")
    assert "1 (it is good by its verdict)" in answer["text"]
    assert (answer["taken"], len(answer["left_out"])) == ([first], 2)
    assert [(tag.image_id, tag.who) for tag in ledger.tags()] == [(first, "ann")]


def test_twins_are_proposed_and_selected_and_nothing_is_written(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    assert "nobody has said anything" in _run(dataset, "spread_verdict", ids[:1])["text"]
    _run(dataset, "mark_defect", ids[:1], who="ann")
    assert "too few to tell" in _run(dataset, "spread_verdict", ids[:1])["text"]
    answer = _run(dataset, "spread_verdict", ids[:1], distance=0.001)
    assert (answer["ids"], answer["verdict"]) == ([ids[1]], "defect")
    assert len(ledger.verdicts()) == 1
    nothing = _run(dataset, "spread_verdict", ids[:1], distance=0.0001)
    assert nothing["ids"] == []
    assert nothing["text"].startswith("no near twin")


def test_samples_are_selected_once_their_view_is_open(server: MongoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from curation.plugin import selecting

    monkeypatch.setattr(selecting.time, "sleep", lambda _: None)
    done: list[Any] = []
    ctx = SimpleNamespace(
        ops=SimpleNamespace(set_selected_samples=done.append), trigger=lambda uri, params: done.append(params)
    )
    opened = [{"_cls": "fiftyone.core.stages.Select", "kwargs": [["sample_ids", ["a", "b"]], ["ordered", True]]}]
    # As the App goes: the view from before, the new one whose selection it has cleared, and what was asked for.
    for view, selected in (([], ["x"]), (opened, []), (opened, ["b"])):
        ctx.request_params, ctx.selected, ctx.params = {"view": view}, selected, {"ids": ["b"], "left": 9}
        selecting.SelectShown().execute(ctx)
    again = {"ids": ["b"], "left": 8}
    assert done == [again, ["b"], again]
    ctx.selected, ctx.params = [], {"ids": ["b"], "left": 0}
    selecting.SelectShown().execute(ctx)
    assert done == [again, ["b"], again]


def test_verdicts_of_all_selected_are_spread(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    _run(dataset, "mark_defect", [ids[0], ids[3]], who="ann")
    answer = _run(dataset, "spread_verdict", [ids[3], ids[0]], distance=0.0025)
    # 1 degree from the first; 3 and 4 degrees from the fourth.
    assert answer["ids"] == [ids[1], ids[2], ids[4]]
    assert "3 near twins without a verdict, of 2 images that are defective" in answer["text"]


def test_a_version_is_made_of_the_selection_or_the_view(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    _run(dataset, "mark_good", ids[:2], who="ann")
    answer = _run(dataset, "make_version", ids[:1], name="one", who="ann")
    assert "one: 1 good, 0 defective" in answer["text"]
    assert ledger.set_version("one").row.fingerprint == answer["fingerprint"]
    whole = _run(dataset, "make_version", [], name="view", assume_good=True)
    assert f"{COUNT} good" in whole["text"]
    assert "choose another name" in _run(dataset, "make_version", [], name="one", assume_good=True)["text"]
    assert "needs a name" in _run(dataset, "make_version", ids[:1], name=" ")["text"]


def test_of_a_saved_view_only_what_the_sidebar_leaves_is_meant(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    _run(dataset, "mark_good", ids[:4], who="ann")
    dataset.reload()
    dataset.save_view("first", dataset.select(ids[:3]))
    # As the App asks where "first" is open and scores from 0.75 on are chosen.
    asked = {
        "view_name": "first",
        "filters": {"score": {"range": [0.75, 1], "exclude": False, "isMatching": True, "none": False}},
    }
    view = dataset.load_saved_view("first")
    answer = _run(dataset, "make_version", [], {"view": view, **asked}, name="filtered")
    assert "filtered: 2 good" in answer["text"]


def test_findings_of_checks_are_views(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    keys = [image.image_id for image in ledger.images()]
    ledger.add_tag(keys[0], "check:blurred", "curate check")
    ledger.add_tag(keys[1], "check:suspect", "curate check")
    sync(ledger, "plugin test")
    dataset.reload()
    assert {"check:blurred", "check:suspect"} <= set(dataset.list_saved_views())
    assert dataset.load_saved_view("check:blurred").values("image_id") == keys[:1]
    ledger.remove_tag(keys[0], "check:blurred", "curate check")
    sync(ledger, "plugin test")
    dataset.reload()
    assert "check:blurred" not in dataset.list_saved_views()


def test_mistakes_are_words(dataset: Any, ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    assert _run(dataset, "mark_good", [])["text"] == "Select samples first"
    ledger.close()
    (tmp_path / "ledger.db").rename(tmp_path / "elsewhere.db")
    answer = _run(dataset, "mark_good", ids[:1])
    assert answer["failed"]
    assert "is gone" in answer["text"]
    (tmp_path / "elsewhere.db").rename(tmp_path / "ledger.db")
    dataset.info.pop("flawsmith_ledger")
    dataset.save()
    assert "curate sync" in _run(dataset, "mark_good", ids[:1])["text"]


def test_alarms_of_drift_are_beside_the_days_and_their_pictures_have_a_view(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    from datetime import UTC, datetime, timedelta

    from fiftyone.operators import types

    from curation.plugin.panels import DriftPanel

    start = datetime(2026, 3, 1, tzinfo=UTC)
    dataset.set_values("time", [start + timedelta(days=day) for day in range(len(dataset))])
    ctx = _context(dataset)
    content = DriftPanel().read(ctx)
    assert content["alarms"] == content["since"] == []
    seen = types.Object()
    DriftPanel().draw(ctx, seen, content | {"quiet": ["camera a: not enough yet: 4 more parts"]})
    assert "not enough yet" in str(seen.properties["alarms"].to_json())
    watched: list[Ledger] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.plugin.panels.watch_ledger", lambda seen, *_, **__: watched.append(seen) or [])
        assert DriftPanel().read(ctx) == content
        assert not watched
        # What was written may be what raises an alarm.
        ledger.add_tag(ledger.images()[0].image_id, "seen", "ann")
        assert DriftPanel().read(ctx) == DriftPanel().read(ctx) == content | {"quiet": []}
        assert len(watched) == 1
    told = content | {"alarms": ["**top**: brightness is lower"], "since": ["2026-03-02"]}
    panel = types.Object()
    DriftPanel().draw(ctx, panel, told)
    assert {"alarms", "over_time"} <= panel.properties.keys()
    ledger.add_tag(ledger.images()[0].image_id, "drift:brightness", "drift")
    sync(ledger, "plugin test")
    dataset.reload()
    assert len(dataset.load_saved_view("drift")) == 1
    ledger.remove_tag(ledger.images()[0].image_id, "drift:brightness", "drift")
    sync(ledger, "plugin test")
    dataset.reload()
    assert not dataset.has_saved_view("drift")


def test_points_of_the_map_are_coloured_by_verdict_and_a_lasso_becomes_the_view(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    ids = _ids(dataset, ledger)
    _run(dataset, "mark_defect", ids[:1], who="ann")
    _run(dataset, "mark_good", ids[3:4], who="ann")
    dataset.reload()
    from curation.plugin.map_panel import MapPanel

    ctx = _context(dataset)
    traces = {trace["name"]: trace for trace in _drawn(MapPanel(), ctx)["map"].view.data}
    # One was never scored.
    assert set(traces) == {"no verdict (3)", "unresolved (0)", "defect (1)", "good (1)"}
    assert traces["defect (1)"]["ids"] == ids[:1]
    assert traces["good (1)"]["ids"] == ids[3:4]
    chosen = []
    ctx.ops = SimpleNamespace(set_view=chosen.append)
    for found in ([], [{"id": ids[3]}]):
        ctx.params = {"data": found}
        MapPanel().choose(ctx)
    assert [view.values("id") for view in chosen] == [ids[3:4]]


def test_the_slider_is_on_the_scale_of_the_histogram(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    scores = [0.001, 0.002, 0.003, 0.004, 0.9, None]
    dataset.set_values("decision_score", scores)
    dataset.set_values("verdict", ["good", "good", "good", "defect", "defect", None])
    from curation.plugin.threshold_panel import ThresholdPanel

    ctx, panel = _context(dataset), ThresholdPanel()
    slider = _drawn(panel, ctx)["logarithmic"].type
    assert (slider.min, slider.max) == pytest.approx((-3, np.log10(0.9)))
    ctx.params = {"path": "logarithmic", "value": float(np.log10(0.0025))}
    panel.move(ctx)
    drawn = _drawn(panel, ctx)
    assert "0.0025" in drawn["effect"].default
    assert "1 of 3 (33.3 %) good images rejected, 0 of 2 (0.0 %) defects escape" in drawn["effect"].default
    # 10 to the power of this one's logarithm is less than it: at the slider's end it would be rejected too.
    lowest = 0.02499355748295784
    assert 10 ** np.log10(lowest) < lowest
    dataset.set_values("decision_score", [lowest, 0.03, 0.04, 0.05, 90.0, None])
    ctx.params = {"path": "logarithmic", "value": _drawn(panel, ctx)["logarithmic"].type.min}
    panel.move(ctx)
    assert "2 of 3 (66.7 %) good images rejected" in _drawn(panel, ctx)["effect"].default
    dataset.set_values("decision_score", scores)
    # Scores that lie closer have a slider of their own, which nobody has moved.
    ctx.view = dataset[:3]
    # It reaches to the threshold that decides, which is above all of these.
    assert _drawn(panel, ctx)["linear"].type.max == 0.5
    ctx.view = dataset[5:]
    assert "flawsmith score" in _drawn(panel, ctx)["trouble"].default


def test_a_panel_that_is_drawn_again_keeps_nothing(dataset: Any, ledger: Ledger) -> None:  # noqa: F811
    from curation.plugin.panels import PANELS

    ctx = _context(dataset)
    ctx.panel.set_state = None  # keeping something would make the App undo the sidebar's filters
    for panel in PANELS:
        panel().on_load(ctx)
        panel().on_change_view(ctx)
        assert _drawn(panel(), ctx)


def test_the_folder_of_the_apps_server_hides_no_packages(server: MongoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import fiftyone.server

    folder = str(Path(fiftyone.server.__file__).parent)
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    hidden = importlib.machinery.PathFinder.find_spec("lightning")
    uncover_packages()
    seen = importlib.machinery.PathFinder.find_spec("lightning")
    assert hidden is not None
    assert seen is not None
    assert (Path(str(hidden.origin)).parent, seen.submodule_search_locations is not None) == (Path(folder), True)


def _context(dataset: Any) -> Any:
    """What the App hands a panel, with its state in a dictionary."""
    state: dict[str, Any] = {}
    held = SimpleNamespace(get_state=state.get, set_state=state.__setitem__)
    return SimpleNamespace(dataset=dataset, view=dataset.view(), panel=held, params={}, request_params={})


def _drawn(panel: Any, ctx: Any) -> dict[str, Any]:
    properties: dict[str, Any] = panel.render(ctx).type.properties
    return properties
