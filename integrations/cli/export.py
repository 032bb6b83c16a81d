"""``flawsmith export``: a bundle for another runtime."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import bar, print_json, say
from integrations.cli.options import BundleArgument, JsonOption, existing_bundle, existing_data
from learning.export.record import Format, Precision


def export(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write.", show_default=False)],
    format: Annotated[  # noqa: A002
        Format,
        typer.Option(help="What is to run it. tensorrt: where ONNX Runtime finds one, else refused."),
    ] = Format.OPENVINO,
    precision: Annotated[
        Precision, typer.Option(help="int8: OpenVINO only; ranges come from the bundle's good training parts.")
    ] = Precision.FP32,
    mirrors: Annotated[
        bool,
        typer.Option(
            help="Average over mirrored images where the bundle does; up to four times slower than without, and surer."
        ),
    ] = True,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="The data set that the bundle was trained on, if it was moved since.",
            show_default="where it was",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export a bundle for ONNX Runtime or OpenVINO. What comes of it scores and evaluates like a bundle.

    The exported model is compared with the bundle on held-out good parts and made-up flaws; the figures are kept in its
    card. Thresholds stay as they are where scores do; else the calibration parts are scored again, and the same promise
    is made from them.

    Example: [bold]flawsmith export runs/bracket --out runs/bracket-int8 --format openvino --precision int8[/bold]
    """
    existing_bundle(bundle)
    if calibrate is not None:
        existing_data(calibrate)
    from learning.export.packages import require_to_export

    require_to_export(format, precision)
    from learning.bundle import Bundle
    from learning.export.writing import ExportSettings, export_bundle

    settings = ExportSettings(format, precision, mirrors)
    with bar() as progress:
        exported = export_bundle(Bundle.load(bundle), out, settings, calibrate, progress)
    record = exported.manifest.export
    assert record is not None
    if as_json:
        print_json({"model": exported.fingerprint, **record.model_dump(mode="json")})
        return
    parity = record.parity
    say(
        f"{out}: {record.text()}; scores differ from the bundle's by at most {parity.largest_score_difference:.2g} on "
        f"{parity.good} held-out good parts and {parity.flawed} with made-up flaws"
    )
    if parity.auroc is not None and parity.exported_auroc is not None:
        say(f"AUROC between the two: {parity.auroc:.4f} by the bundle, {parity.exported_auroc:.4f} exported")
    promise = exported.thresholds.current().words
    say(f"threshold {'kept' if record.threshold == 'kept' else 'set anew'}: {promise}")
