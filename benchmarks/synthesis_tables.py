"""The figures of ``benchmarks.synthesis`` as tables."""

from typing import Any

from rich.table import Table


def tables(result: dict[str, Any]) -> list[Table]:
    """Draw the figures, as far as they were measured."""
    drawn = {"rates": _rates_table, "replay": _replay_table, "together": _together_table}
    keys = {"rates": "images_per_second", "replay": "replay_across_devices", "together": "together"}
    found = [draw(result) for part, draw in drawn.items() if result.get(keys[part])]
    return [*found, _figures_table(result)]


def _rates_table(result: dict[str, Any]) -> Table:
    speed = Table(title=f"images per second at {result['size']}² RGB, median and range of {result['rounds']} rounds")
    devices = max((list(rates) for rates in result["images_per_second"].values()), key=len)
    for heading in ("generator", *devices, f"processor time, {devices[0]}", "painted"):
        speed.add_column(heading, justify="left" if heading == "generator" else "right")
    for name, rates in result["images_per_second"].items():
        ranges = result["images_per_second_range"][name]
        cells = [f"{rates[d]:.0f} ({ranges[d][0]:.0f}–{ranges[d][1]:.0f})" if d in rates else "–" for d in devices]
        by_processor = f"{result['images_per_cpu_second'][name][devices[0]]:.0f}"
        speed.add_row(name, *cells, by_processor, f"{100 * result['painted'][name]:.0f} %")
    return speed


def _replay_table(result: dict[str, Any]) -> Table:
    replay = Table(title="the same recipes on both devices: greatest differences, in 255ths of the range")
    for heading in ("family", "across devices", "masks that differ", "painted again", "painted alone"):
        replay.add_column(heading, justify="left" if heading == "family" else "right")
    for name, found in result["replay_across_devices"]["families"].items():
        levels = [f"{255 * found[key]:.4f}" for key in ("difference", "again", "alone")]
        replay.add_row(name, levels[0], f"{100 * found['mask_share']:.3f} %", *levels[1:])
    return replay


def _together_table(result: dict[str, Any]) -> Table:
    together = Table(title=f"the mix by several processes on one GPU, images per second at {result['size']}² RGB")
    for heading in ("images at a time", "processes", "all together", "memory of one"):
        together.add_column(heading, justify="right")
    for row in result["together"]:
        least, most = row["range"]
        rate = f"{row['images_per_second']:.0f} ({least:.0f}–{most:.0f})"
        together.add_row(str(row["batch"]), str(row["processes"]), rate, _megabytes(row["peak_mb"]))
    return together


def _figures_table(result: dict[str, Any]) -> Table:
    figures = Table(title="what was asked for", show_header=False)
    if "painted" in result:
        for name, what in (("perlin", "Perlin"), ("mix", "default mix")):
            figures.add_row(
                f"{what} over anomalib, per thread",
                f"{_times(result[f'ratio_per_thread_{name}'])}; by processor time "
                f"{_times(result[f'ratio_of_cpu_time_{name}'])}",
            )
    if "training_step" in result:
        step = result["training_step"]
        figures.add_row(
            "share of a training step",
            f"{100 * result['share_of_training_step']:.1f} % of {step['step_ms']:.0f} ms; "
            f"of its time on all cores {100 * step['share_of_cpu_time']:.1f} %; "
            f"waiting for batches {100 * step['waited_share']:.1f} %",
        )
    if "linearity" in result:
        figures.add_row(
            "processor time grows with the number of images to the power of", f"{result['linearity']['exponent']:.3f}"
        )
    memory = result.get("peak_memory_mb", {"batch": {}, "large": []})
    for name, peak in memory["batch"].items():
        figures.add_row(f"memory for a batch of {result['batch']}, {name}", _megabytes(peak))
    for row in memory["large"]:
        figures.add_row(
            f"memory for one image of {row['size']}², {'grey' if row['channels'] == 1 else 'RGB'} "
            f"({row['picture_mb']:.0f} MB itself)",
            f"{_megabytes(row['peak_mb'])}, {row['seconds_per_image']:.2f} s",
        )
    for name, row in memory.get("families", {}).items():
        largest = max(one["size"] for one in memory["large"])
        figures.add_row(f"{largest}² RGB, {name}", f"{_megabytes(row['peak_mb'])}, {row['seconds_per_image']:.2f} s")
    return figures


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}×"


def _megabytes(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} MB"
