"""The page that an inspector sees: its labelling configuration, and what every task has to carry for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from integrations.errors import ServerError

VERDICT, REGION, OUTLINE = "verdict", "region", "outline"
SEVERITY, KNOWN_CLASS, DEFECT_CLASS = "severity", "known_class", "defect_class"
IMAGE, OVERLAY, NEAR_GOOD, NEAR_DEFECT = "image", "overlay", "near_good", "near_defect"
FLAW = "flaw"
HOTKEYS = {"good": "1", "defect": "2", "unsure": "3"}
"""Verdicts, and the key for each; Ctrl+Enter submits, Ctrl+Space skips."""
SEVERITY_HOTKEYS = {"critical": "4", "not critical": "5"}
_CLASS_HOTKEYS = ("6", "7", "8", "9", "0")

_PICTURES = (IMAGE, OVERLAY, NEAR_GOOD, NEAR_DEFECT)
TASK_KEYS = ("external_id", "image_id", "part", "why", *_PICTURES, "near_good_note", "near_defect_note")
"""What every task carries in its data: ask id, image id, part, reason in words, the addresses of four pictures, and
what the two for comparison are."""

_KNOWN_TAGS = {"View", "Header", "Image", "Choices", "Choice", "BrushLabels", "PolygonLabels", "Label", "TextArea"}
_VARIABLES = ("value",)


def labelling_config(classes: Sequence[str] = ()) -> str:
    """The page: why it is asked, the verdict, kind and severity of a defect, and four pictures.

    Args:
        classes: Kinds of defects to choose from; others can be typed.

    Returns:
        XML that ``check_config`` accepts.
    """
    page = ElementTree.Element("View")
    _add(page, "Header", value="$why", size="5")
    # Above the pictures: a tall one would push it off the screen.
    bar = _add(page, "View", style="display:flex; flex-wrap:wrap; gap:0 2em; align-items:center")
    _choices(bar, VERDICT, HOTKEYS, required="true", requiredMessage="Choose good, defect or unsure (keys 1, 2, 3)")
    brush = _add(bar, "BrushLabels", name=REGION, toName=IMAGE, showInline="true")
    _add(brush, "Label", value=FLAW, background="#e6194b", hotkey="f")
    polygon = _add(bar, "PolygonLabels", name=OUTLINE, toName=IMAGE, showInline="true")
    _add(polygon, "Label", value=f"{FLAW} (outline)", background="#e6194b", hotkey="g")
    _kind_of_defect(page, classes)
    pictures = _add(page, "View", style="display:flex; gap:1%; align-items:flex-start")
    # A class with `flex: 1` shrinks the pictures to a pixel.
    _picture(_add(pictures, "View", style="flex:0 0 49%"), IMAGE, "Part: paint flaws here", "true")
    side = _add(pictures, "View", style="flex:0 0 50%; display:flex; flex-wrap:wrap; gap:0 1%")
    # Three of half the width, so that all of it fits on a screen.
    beside = {OVERLAY: "Anomaly map: where the detector looked"}
    beside |= {name: f"${name}_note" for name in (NEAR_GOOD, NEAR_DEFECT)}
    for name, title in beside.items():
        _picture(_add(side, "View", style="flex:0 0 49%"), name, title, "false")
    ElementTree.indent(page)
    config = ElementTree.tostring(page, encoding="unicode")
    check_config(config)
    return config


def classes_of(config: str) -> list[str]:
    """Kinds of defects that a labelling configuration offers, in its order; none where it is another page."""
    try:
        page = ElementTree.fromstring(config)
    except ElementTree.ParseError:
        return []
    return [choice.attrib["value"] for choice in page.findall(f".//Choices[@name='{KNOWN_CLASS}']/Choice")]


def _kind_of_defect(page: ElementTree.Element, classes: Sequence[str]) -> None:
    """Severity and kind, shown only for defects."""
    when = {"visibleWhen": "choice-selected", "whenTagName": VERDICT, "whenChoiceValue": "defect"}
    row = _add(page, "View", style="display:flex; flex-wrap:wrap; gap:0 2em; align-items:center", **when)
    _choices(row, SEVERITY, SEVERITY_HOTKEYS)
    if classes:
        keys = [*_CLASS_HOTKEYS, *[""] * len(classes)]
        _choices(row, KNOWN_CLASS, dict(zip(classes, keys, strict=False)))
    _add(
        row,
        "TextArea",
        name=DEFECT_CLASS,
        toName=IMAGE,
        placeholder="Another kind of defect (optional)",
        maxSubmissions="1",
        rows="1",
        editable="true",
        required="false",
    )


def _choices(parent: ElementTree.Element, name: str, hotkeys: dict[str, str], **attributes: str) -> None:
    fixed = {"name": name, "toName": IMAGE, "choice": "single-radio", "showInline": "true"}
    choices = _add(parent, "Choices", **fixed, **attributes)
    for value, key in hotkeys.items():
        _add(choices, "Choice", value=value, **({"hotkey": key} if key else {}))


def _picture(parent: ElementTree.Element, name: str, title: str, controls: str) -> None:
    _add(parent, "Header", value=title, size="6")
    _add(parent, "Image", name=name, value=f"${name}", zoom="true", zoomControl=controls, rotateControl="false")


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def check_config(config: str) -> None:
    """Check what Label Studio accepts in silence and then does not show.

    Args:
        config: XML.

    Raises:
        ServerError: If it is no XML, or has an unknown tag, a name twice, a ``toName`` that points nowhere, a hotkey
            twice, or a variable that tasks do not carry.
    """
    try:
        page = ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        msg = f"the labelling configuration is not XML: {error}"
        raise ServerError(msg) from error
    tags = list(page.iter())
    problems = [f"unknown tag {tag.tag}" for tag in tags if tag.tag not in _KNOWN_TAGS]
    names = Counter(tag.attrib["name"] for tag in tags if "name" in tag.attrib)
    problems += [f"the name {name} is given twice" for name, count in names.items() if count > 1]
    keys = Counter(tag.attrib["hotkey"] for tag in tags if "hotkey" in tag.attrib)
    problems += [f"the hotkey {key} is given twice" for key, count in keys.items() if count > 1]
    targets = [tag.attrib["toName"] for tag in tags if "toName" in tag.attrib]
    problems += [f"toName {target} points nowhere" for target in targets if target not in names]
    values = [tag.attrib[key] for tag in tags for key in _VARIABLES if key in tag.attrib]
    variables = [value[1:] for value in values if value.startswith("$")]
    problems += [f"tasks carry no {variable}" for variable in variables if variable not in TASK_KEYS]
    if problems:
        msg = f"the labelling configuration is wrong: {'; '.join(problems)}"
        raise ServerError(msg)


def check_task(task: dict[str, Any]) -> None:
    """Check a task before it is sent: unknown names in predictions are accepted in silence too.

    Args:
        task: As ``projects.import_tasks`` takes it.

    Raises:
        ServerError: If a key is missing, or a prediction is for anything but a region: a predicted verdict would sway
            the inspector, and its hotkey would take it away.
    """
    missing = [key for key in TASK_KEYS if not task["data"].get(key)]
    results = [result for prediction in task.get("predictions", ()) for result in prediction["result"]]
    wrong = [result["from_name"] for result in results if (result["from_name"], result["to_name"]) != (REGION, IMAGE)]
    if missing or wrong:
        msg = f"a task is wrong: missing {missing}, predictions for {wrong}"
        raise ServerError(msg)
