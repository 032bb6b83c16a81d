"""What the App's buttons do, by commands on files."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from curation.ledger import ImageEntry, Ledger, SetMember
from integrations.cli import curate, review
from tests.curation.test_actions import ledger  # noqa: F401 (a fixture)
from tests.integrations.cli.running import run as flawsmith


def run(*arguments: object) -> Result:
    return flawsmith("curate", *arguments)


def test_files_are_known_by_content_and_acted_on(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    place, first, moved = ("--ledger", tmp_path / "ledger.db"), tmp_path / "0.png", tmp_path / "moved.png"
    (tmp_path / "1.png").rename(moved)
    sent = json.loads(run("inspect", first, moved, *place, "--json").stdout)
    assert len(sent["asked"]) == 2
    assert "2 waiting already" in run("inspect", first, moved, *place).stderr
    assert "1 marked as defect by ann" in run("mark", "defect", moved, *place, "--who", "ann", "--kind", "dent").stderr
    assert "nearest confirmed defect" in run("why", first, *place).stdout
    near = json.loads(run("similar", first, *place, "-n", 2, "--json").stdout)
    assert [one["verdict"] for one in near] == ["defect", None]
    chosen = run("source", moved, first, *place, "--json")
    assert "left out: 1 (nobody has marked where its defect is), 1 (nobody has said" in chosen.stderr
    left_out = {one["image"]: one["reason"] for one in json.loads(chosen.stdout)["left_out"]}
    assert left_out[str(moved)] == "nobody has marked where its defect is"


def test_twins_are_proposed_on_stdout_and_versions_are_made(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    place, first = ("--ledger", tmp_path / "ledger.db"), tmp_path / "0.png"
    run("mark", "defect", first, *place, "--who", "ann")
    found = run("spread", first, *place, "--distance", 0.001)
    assert found.stdout.split() == [str(tmp_path / "1.png")]
    assert "Nothing was written" in found.stderr
    assert "too few to tell" in run("spread", first, *place).stderr
    ledger.add_tag(ledger.images()[0].image_id, "look", "ann")
    made = json.loads(run("version", "v1", *place, "--tag", "look", "--json").stdout)
    assert (made["defective"], made["good"], made["row"]["name"]) == (1, 0, "v1")
    assert "v1: 0 good, 1 defective" in run("version", "v1", first, *place).stderr
    assert "5 good, 1 defective" in run("version", "v2", *place, "--assume-good").stderr
    assert "1 added" not in flawsmith("retrain", "compare", "v1", "v2", *place).stderr
    assert "5 added, 0 removed" in flawsmith("retrain", "compare", "v1", "v2", *place).stderr


def test_kinds_of_defects_are_counted_with_how_bad_they_are(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    place, images = ("--ledger", tmp_path / "ledger.db"), [tmp_path / f"{number}.png" for number in range(3)]
    assert "no confirmed defect yet" in run("kinds", *place).stderr
    run("mark", "defect", *images[:2], *place, "--who", "ann", "--kind", "dent")
    again = run("mark", "defect", *images[:1], *place, "--who", "ann", "--kind", "dent", "--severity", "critical")
    assert "1 marked as defect" in again.stderr
    run("mark", "defect", images[2], *place, "--who", "ann", "--severity", "not critical")
    found = json.loads(run("kinds", *place, "--json").stdout)["kinds"]
    counts = [(one["name"], one["count"], one["critical"], one["not_critical"], one["not_judged"]) for one in found]
    assert counts == [("dent", 2, 1, 0, 1), ("no kind given", 1, 0, 1, 0)]
    assert "2  up to here  67 %  dent: 1 critical, 0 not critical, 1 not judged" in run("kinds", *place).stdout
    ledger.add_tag(ledger.images()[2].image_id, "look", "ann")
    (one,) = json.loads(run("kinds", *place, "--tag", "look", "--json").stdout)["kinds"]
    assert (one["name"], one["count"]) == ("no kind given", 1)
    wrong = run("mark", "good", images[0], *place, "--severity", "critical")
    assert (wrong.exit_code, "only a defect has a kind" in wrong.stderr) == (2, True)


def test_of_many_differences_twenty_are_named_unless_all_are_wanted(tmp_path: Path) -> None:
    members = [SetMember(f"{n:032d}", Path(f"{n}.png"), f"{n}", f"{n}", "good") for n in range(23)]
    with Ledger.open(tmp_path / "l.db") as opened:
        opened.create_set("training", members[:1], "v1")
        opened.create_set("training", members[1:], "v2")
    compare = ("retrain", "compare", "v1", "v2", "--ledger", tmp_path / "l.db")
    short = flawsmith(*compare)
    assert len(short.stdout.splitlines()) == 20
    assert "22 added, 1 removed, 0 changed, 0 the same" in short.stderr
    assert "and 3 more: --all" in short.stderr
    whole = flawsmith(*compare, "--all")
    assert len(whole.stdout.splitlines()) == 23
    assert "more" not in whole.stderr


def test_images_are_listed_by_their_tags(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    place, first = ("--ledger", tmp_path / "ledger.db"), ledger.images()[0].image_id
    assert "no image has a tag" in run("tags", *place).stderr
    ledger.add_tag(first, "look [again]", "ann")
    ledger.add_tag(first, "wet", "bob")
    ledger.remove_tag(first, "wet", "bob")
    (one,) = json.loads(run("tags", *place, "--json").stdout)["tags"]
    assert (one["image"], one["tag"], one["who"]) == (str(tmp_path / "0.png"), "look [again]", "ann")
    assert "no image has the tag wet" in run("tags", *place, "--tag", "wet").stderr
    listed = run("tags", *place, "--history")
    lines = listed.stdout.splitlines()
    assert "flawsmith curate sync" in listed.stderr
    assert [line[0] for line in lines] == ["+", "+", "-"]
    assert "look [again]  " in lines[0]
    assert "ann tagged it look [again]" in flawsmith("explain", tmp_path / "0.png", *place).stdout


@pytest.mark.parametrize("group", [curate.app, review.app])
def test_commands_on_a_ledger_take_the_same_options(group: typer.Typer) -> None:
    """What was given to one command can be given to the next; those that run until Ctrl-C print no result."""
    commands = vars(typer.main.get_command(group))["commands"]
    assert commands
    for name, command in commands.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--home" in options, name
        assert ("--json" in options) == (name not in ("open", "serve", "backend")), name
        assert ("--ledger" in options) == (name not in ("open", "serve", "synthetic")), name


def test_what_writes_says_what_it_did_as_json_too(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    where, first = ("--ledger", tmp_path / "ledger.db", "--home", tmp_path / "home", "--json"), tmp_path / "0.png"

    def said(*command: object) -> dict[str, object]:
        result = flawsmith(*command, *where)
        assert result.exit_code == 0, result.stderr
        return dict(json.loads(result.stdout))

    marked = {"verdict": "defect", "who": "ann", "marked": 1, "were_so": 0}
    assert said("curate", "mark", "defect", first, "--who", "ann") == marked
    assert said("curate", "mark", "defect", first, "--who", "ann") == marked | {"marked": 0, "were_so": 1}
    assert said("review", "gold", first, "--truth", "defect")["truth"] == "defect"
    again = said("review", "gold", first, "--truth", "good", "--replace")
    assert (again["images"], again["replaced"]) == (1, 1)
    assert said("review", "gold", first, "--undo")["changed"] == 1
    added = said("review", "add", first, "--defect", "dent")
    assert (added["case"], added["known"], added["state"]) == (True, True, "defect")
    assert said("review", "add", first, "--undo") == {"image": str(first), "case": False, "changed": True}


def test_what_is_suggested_is_about_the_same_ledger_and_home(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    first, home = tmp_path / "0.png", tmp_path / "a home"
    place = ("--ledger", tmp_path / "ledger.db", "--home", home)
    wanted = f"flawsmith {{}} --ledger {tmp_path / 'ledger.db'} --home '{home}'"
    for suggested, command in (
        ("review push", ("inspect", first)),
        ("curate sync", ("mark", "defect", first)),
        ("curate inspect IMAGE...", ("similar", first)),
        (f"curate mark good|defect {first}", ("why", first)),
        ("curate mark defect IMAGE...", ("spread", first, "--distance", 0.001)),
        ("review push", ("version", "v1")),
        ("review pull", ("kinds",)),
        ("curate sync", ("tags",)),
    ):
        assert wanted.format(suggested) in run(*command, *place).stderr


@pytest.mark.parametrize("command", [("inspect",), ("similar",), ("why",), ("mark", "good"), ("source",)])
def test_mistakes_are_one_line(ledger: Ledger, tmp_path: Path, command: tuple[str, ...]) -> None:  # noqa: F811
    stranger = tmp_path / "stranger.png"
    stranger.write_bytes(b"not in the ledger")
    for image, text in ((stranger, "is not in"), (tmp_path / "none.png", "no such file")):
        result = run(*command, image, "--ledger", tmp_path / "ledger.db")
        assert result.exit_code == 2
        assert text in " ".join(result.stderr.split())
        assert result.stderr.startswith("error:")


def test_names_that_look_like_markup_are_printed_as_they_are(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    place, folder = ("--ledger", tmp_path / "ledger.db"), tmp_path / "lot [/3]"
    folder.mkdir(parents=True)
    moved = (tmp_path / "1.png").rename(folder / "1.png")
    ledger.add_images([ImageEntry(moved)])
    run("mark", "defect", moved, *place, "--who", "ann [/x]")
    assert "by ann [/x]" in run("mark", "defect", moved, *place, "--who", "ann [/x]").stderr
    assert str(moved) in run("similar", tmp_path / "0.png", *place).stdout
    assert str(moved) in run("why", tmp_path / "0.png", *place).stdout
    report = folder / "quality.html"
    assert str(report) in run("check", folder, "--out", report, "--home", tmp_path / "home").stderr
