"""The page that an inspector sees, and the project that holds it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from integrations.errors import ServerError
from integrations.label_studio.client import server_errors, url_of

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

VERDICT, REGION, DEFECT_CLASS = "verdict", "region", "defect_class"
IMAGE, OVERLAY = "image", "overlay"
FLAW = "flaw"
HOTKEYS = {"good": "1", "defect": "2", "unsure": "3"}
"""Verdicts, and the key for each; Ctrl+Enter submits, Ctrl+Space skips."""

TASK_KEYS = ("external_id", "image_id", "part", "why", IMAGE, OVERLAY)
"""What every task carries in its data: ask id, image id, part, reason in words, and the addresses of two pictures."""

ASKS_FOLDER = "asks"
"""Below the served folder: Label Studio serves local files only from a subfolder of its root."""

_KNOWN_TAGS = {"View", "Header", "Image", "Choices", "Choice", "BrushLabels", "Label", "TextArea"}
_VARIABLES = ("value",)


def labelling_config() -> str:
    """The page: why it is asked, the verdict, a brush, the image beside its anomaly map, and the kind of defect.

    Returns:
        XML that ``check_config`` accepts.
    """
    page = ElementTree.Element("View")
    _add(page, "Header", value="$why", size="5")
    # Above the pictures: a tall one would push it off the screen.
    choices = _add(
        page,
        "Choices",
        name=VERDICT,
        toName=IMAGE,
        choice="single-radio",
        showInline="true",
        required="true",
        requiredMessage="Choose good, defect or unsure (keys 1, 2, 3)",
    )
    for verdict, key in HOTKEYS.items():
        _add(choices, "Choice", value=verdict, hotkey=key)
    brush = _add(page, "BrushLabels", name=REGION, toName=IMAGE, showInline="true")
    _add(brush, "Label", value=FLAW, background="#e6194b", hotkey="f")
    pictures = _add(page, "View", style="display:flex; gap:2%; align-items:flex-start")
    for name, title in ((IMAGE, "Part: paint flaws here"), (OVERLAY, "Anomaly map: where the detector looked")):
        # A class with `flex: 1` shrinks both pictures to a pixel.
        column = _add(pictures, "View", style="flex:0 0 49%")
        _add(column, "Header", value=title, size="6")
        controls = "true" if name == IMAGE else "false"
        _add(column, "Image", name=name, value=f"${name}", zoom="true", zoomControl=controls, rotateControl="false")
    _add(
        page,
        "TextArea",
        name=DEFECT_CLASS,
        toName=IMAGE,
        placeholder="Kind of defect, if it is one (optional)",
        maxSubmissions="1",
        rows="1",
        editable="true",
        required="false",
    )
    ElementTree.indent(page)
    config = ElementTree.tostring(page, encoding="unicode")
    check_config(config)
    return config


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


def _marker(title: str) -> str:
    return f"[flawsmith project: {title}]"


def ensure_project(client: LabelStudio, title: str, inspectors: int | None = None) -> int:
    """Find the project of this title, or make it; bring its page up to date.

    It is found by a marker in its description, so that people may rename it.

    Args:
        client: The connection.
        title: 3 to 50 characters.
        inspectors: How many answer each task before it leaves the stream, also those that are there already; by
            default as many as before, and one in a new project.

    Returns:
        Its id; always the same one, also when two processes make it at the same moment.

    Raises:
        ServerError: If the server does not answer or refuses the configuration.
    """
    config = labelling_config()
    with server_errors(url_of(client)):
        found = _find(client, title)
        if not found:
            client.projects.create(
                title=title,
                description=f"Parts about which the detector would like to know. {_marker(title)}",
                label_config=config,
                show_collab_predictions=True,
                enable_empty_annotation=True,
                sampling="Sequential sampling",
                request_options={"max_retries": 0},
            )
            found = _find(client, title)
        project = client.projects.get(found[0])
        if _canonical(project.label_config or "") != _canonical(config):
            client.projects.update(found[0], label_config=config)
        if inspectors is not None and inspectors != project.maximum_annotations:
            client.projects.update(found[0], maximum_annotations=inspectors)
        return found[0]


def inspectors_of(client: LabelStudio, project: int) -> int:
    """How many inspectors answer each task of a project."""
    with server_errors(url_of(client)):
        return client.projects.get(project).maximum_annotations or 1


def _find(client: LabelStudio, title: str) -> list[int]:
    projects: Any = client.projects.list(page_size=100)
    return sorted(project.id for project in projects if _marker(title) in (project.description or ""))


def is_ours(client: LabelStudio, project: int) -> bool:
    """Whether a project exists on this server and was made by ``ensure_project``."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        return _marker("")[:-1].strip() in (client.projects.get(project).description or "")
    except ApiError as error:
        if error.status_code == 404:
            return False
        raise


def _canonical(config: str) -> str:
    try:
        return ElementTree.canonicalize(config, strip_text=True)
    except ElementTree.ParseError:
        return config


def ensure_storage(client: LabelStudio, project: int, images_root: Path) -> Path:
    """Let the server show the pictures of a project.

    Args:
        client: The connection.
        project: Whose.
        images_root: The server's folder for local files, at the same path for the server.

    Returns:
        The folder for pictures below it.

    Raises:
        ServerError: If the server may not serve that folder.
    """
    folder = images_root.resolve() / ASKS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with server_errors(url_of(client)):
        connected = [storage.path for storage in client.import_storage.local.list(project=project)]
        if str(folder) not in connected:
            client.import_storage.local.create(
                project=project, path=str(folder), use_blob_urls=True, title="flawsmith pictures"
            )
    return folder


def project_key(client: LabelStudio, project: int) -> str:
    """A name for a project that no later project shares, as ids are given again on a new server.

    Returns:
        Such as ``label-studio:3:20260131T101500.123456``; the source of its verdicts in the ledger.
    """
    with server_errors(url_of(client)):
        created = client.projects.get(project).created_at
    stamp = f"{created:%Y%m%dT%H%M%S.%f}" if created else "unknown"
    return f"label-studio:{project}:{stamp}"
