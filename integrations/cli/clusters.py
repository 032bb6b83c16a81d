"""``flawsmith clusters``: the picture of what a clustering detector has learnt."""

from pathlib import Path
from typing import Annotated

import typer

from integrations.cli.console import say
from integrations.cli.options import BundleArgument, CameraOption, SeedOption, existing_bundle, existing_data


def clusters(
    bundle: BundleArgument,
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Anything that train and score read.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(metavar="PNG", help="The picture.")] = Path("clusters.png"),
    camera: CameraOption = None,
    seed: SeedOption = 0,
) -> None:
    """Draw the clusters of a kmeans or birch bundle along the two widest principal components, and places of images.

    The farthest place of each image is ringed: green on good ones, red on defective ones, where labels say so.

    Example: [bold]flawsmith clusters runs/kmeans data/bracket --out clusters.png[/bold]
    """
    existing_bundle(bundle)
    existing_data(images)
    from learning.bundle import Bundle
    from learning.clustering import ClusterDetector, cluster_picture
    from learning.errors import ConfigError
    from learning.images.image_set import ImageSet
    from learning.images.readers import of_camera, read_data

    loaded = Bundle.load(bundle)
    if not isinstance(loaded.detector, ClusterDetector):
        msg = f"{bundle} holds {loaded.manifest.detector}, which has no clusters; train with --detector kmeans or birch"
        raise ConfigError(msg)
    records = of_camera(read_data(images, seed=loaded.manifest.seed), camera)
    cluster_picture(loaded.detector, ImageSet(records, loaded.preprocessing), out, seed)
    say(f"{len(loaded.detector.clusters.centres)} centres, {len(records)} images: {out}")
