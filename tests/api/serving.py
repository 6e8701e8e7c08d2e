"""A process that serves the registry in a folder: `python -m tests.api.serving FOLDER PORT`; it names its address."""

from __future__ import annotations

import sys
from pathlib import Path

from api.app import create_app
from api.settings import ApiSettings
from ops.home import open_home
from ops.registry_app import composed
from ops.serving import serve
from ops.settings import Settings
from tests.api.registry import BASE_URL


def announce(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


def main(folder: Path, port: int) -> None:
    home = open_home(Settings(folder, BASE_URL))
    with composed(home, ApiSettings(BASE_URL)) as parts:
        serve(create_app(parts), "127.0.0.1", port, announce)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
