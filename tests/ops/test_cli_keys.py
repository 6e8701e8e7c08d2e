"""A registry's keys by the command line, as the README's operations chapter says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ops.keyfiles import read_key
from tests.processes import Pith


def test_a_second_event_key_revokes_the_first_and_takes_its_place(tmp_path: Path) -> None:
    pith, second = Pith.at(tmp_path / "data"), tmp_path / "second.json"
    pith.fine("init", "press.example")
    event_key, statement = pith.data / "keys" / "event.json", tmp_path / "second.statement.json"
    pith.fine("keygen", "registry:press.example", "-o", second, "--role", "event")
    registered = pith.fine("sign", "key_registered", "registry", f"@{statement}", "--key", event_key)
    pith.fine("append", "-", given=registered.out)
    stolen = json.dumps({"key_id": read_key(event_key).key.key_id, "compromised_from": None})
    pith.fine("append", "-", given=pith.fine("sign", "key_revoked", "registry", stolen, "--key", second).out)
    shutil.copy(second, event_key)
    rotated = pith.fine("rotate", "log")
    assert "press.example/log+" in rotated.out and "--log OLD --log NEW" in rotated.out
    assert pith.fine("checkpoint", "--json").json["published"]
    assert pith.fine("audit", "--json").json["audited"]
