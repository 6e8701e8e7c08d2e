"""The registry's own storage checker: the key that says what was fetched and found."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from ledger.errors import KeyNotValidError, UsageError
from ledger.registry import Registry
from ledger.signing import Signatory
from ops.jobs.work import Work

CHECKER: Final = "checker"
"""The name of its file in the folder of keys."""

SOFTWARE: Final = f"pith-ledger {version('pith-ledger')}"

_MAKE: Final = (
    "make one with `pith keygen did:web:HOST --role storage_checker -o {path}`, then register its statement: "
    "`pith sign key_registered registry @{statement} --key {event} | pith append -`"
)


def checker(work: Work, registry: Registry) -> Signatory:
    """Return the checker's key, if the log takes its word now.

    Raises:
        UsageError: there is none, it is not registered as a storage checker or not valid any more, or policy names
            others.
    """
    keys = work.home.settings.keys
    path = keys / f"{CHECKER}.json"
    cure = _MAKE.format(path=path, statement=path.with_suffix(".statement.json"), event=keys / "event.json")
    if not path.exists():
        raise UsageError("there is no storage checker's key, so no copy is checked", place=str(path), cure=cure)
    signatory = work.signatory(CHECKER)
    held = signatory.held
    if held.registry != registry.name or held.role != "storage_checker":
        raise UsageError(f"this is no storage checker's key for {registry.name}", place=str(path), cure=cure)
    try:
        registry.keys.usable(held.key.key_id, ("storage_checker",), work.home.store.head().size, work.clock())
    except KeyNotValidError as error:
        raise UsageError(
            f"the log does not take this key's word: {error.message}", place=str(path), cure=cure
        ) from None
    accepted = registry.policy().checkers
    if accepted and held.key.key_id not in accepted:
        cure = f"name this key too: `pith policy --checker {held.key.key_id}` beside those that are named"
        raise UsageError("policy believes other storage checkers only", place=str(path), cure=cure)
    return signatory
