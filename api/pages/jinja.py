"""Templates: read once from the package, escaped everywhere, without scripts.

Foreign text is neutralised as it is printed: characters that would reorder or hide what stands beside them are taken
out, whichever template prints them.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined

from api.pages import static_files
from api.pages.record_view import is_web_address
from ledger.subjects import is_number

_MARKS: Final = re.compile("[\u061c\u200e\u200f\ufeff]")
_HIDING: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)", re.ASCII)


def render(template: str, **shown: Any) -> bytes:
    """Return a page in UTF-8; what a template names and is not given is an error, never an empty place."""
    return _TEMPLATES.get_template(template).render(**shown).encode()


def neutral(value: Any) -> Any:
    """Return a text without what would make it read otherwise than it is written.

    Controls, overrides and isolates of direction (Unicode UAX 9) become U+FFFD, so that it shows where they stood;
    mere marks of direction are left out. All else is returned as it is.
    """
    if type(value) is not str:
        return value
    return _HIDING.sub("\ufffd", _MARKS.sub("", value))


def moment(found: Any) -> str:
    """Write a time of the log or of an envelope for people, in UTC to the second; anything else as it is."""
    shape = _TIME.fullmatch(str(found))
    return f"{shape[1]} {shape[2]} UTC" if shape else str(found)


def _templates() -> Environment:
    folder = files("api.pages") / "templates"
    sources = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".html")}
    found = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=neutral,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters["moment"] = moment
    found.tests["web_address"] = is_web_address
    found.tests["pith_number"] = is_number
    found.globals["static"] = static_files.address
    return found


_TEMPLATES: Final = _templates()
