"""A push or a pull in a process of its own, which ``benchmarks.review`` kills."""

import sys
from pathlib import Path

from curation.ledger import Ledger
from integrations.errors import ServerError
from integrations.label_studio import connect, pull, push


def main() -> int:
    """Push or pull once; say when it begins. 3 where the server was lost."""
    what, place, url, token, project, images_root, masks = sys.argv[1:]
    try:
        client = connect(url, token)
        with Ledger.open(place) as ledger:
            sys.stdout.write("begins\n")
            sys.stdout.flush()
            if what == "push":
                push(ledger, client, int(project), Path(images_root))
            else:
                pull(ledger, client, int(project), Path(masks))
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
