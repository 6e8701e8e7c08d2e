"""A registry under measurement, without rate limits: `python -m ops.bench.registry FOLDER`, run by `ops.bench.http`."""

from __future__ import annotations

import sys
from pathlib import Path

from api.app import create_app
from api.settings import ApiSettings
from ops.bench.servers import tell_port
from ops.home import collect_rarely, open_home
from ops.projecting import projecting
from ops.registry_app import composed
from ops.serving import serve
from ops.settings import Settings


def main() -> None:
    """Serve until told to stop."""
    settings = Settings(Path(sys.argv[1]), "http://127.0.0.1:8080")
    home = open_home(settings)
    collect_rarely()
    try:
        with projecting(settings), composed(home, ApiSettings(settings.base_url)) as parts:
            serve(create_app(parts), "127.0.0.1", 0, tell_port)
    finally:
        home.close()


if __name__ == "__main__":
    main()
