"""The routes that the registry is compared with: a body that is only parsed, and bytes from memory.

Run by `ops.bench.http` as `python -m ops.bench.bare FILE`; serves the file's content at `/bytes`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Response, get, post
from litestar.params import RawBody

from ops.bench.servers import tell_port
from ops.home import collect_rarely
from ops.serving import serve


def main() -> None:
    """Serve until told to stop."""
    collect_rarely()
    content = Path(sys.argv[1]).read_bytes()

    @post("/parse")
    async def parse(body: RawBody) -> Response[bytes]:
        found: Any = msgspec.json.decode(body)
        return Response(b'{"event_id":"%b"}' % found["event_id"].encode(), media_type="application/json")

    @get("/bytes")
    async def memory() -> Response[bytes]:
        return Response(content, media_type="application/json")

    serve(Litestar([parse, memory], openapi_config=None, logging_config=None), "127.0.0.1", 0, tell_port)


if __name__ == "__main__":
    main()
