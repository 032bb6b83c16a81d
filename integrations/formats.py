"""Formats of labels; here, as the command line names them before anything heavy is loaded."""

from enum import StrEnum


class Format(StrEnum):
    """What labels come in."""

    AUTO = "auto"
    MVTEC = "mvtec"
    COCO = "coco"
    YOLO = "yolo"
    LABEL_STUDIO = "label-studio"
    FIFTYONE = "fiftyone"
