"""A registry's logs: making one beside the first, and how each of them stands.

Each log is a data folder of its own; where the others are stands in `logs.toml`. They share one name, one root event,
and the registry's keys: the files of the first, to which the folders of the others lead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from ledger.appending import Submission
from ledger.errors import LedgerError, UsageError
from ledger.log_keys import check_label, log_origin
from ledger.shared import Standing, standing
from ledger.store import Store
from ops.databases import has_log
from ops.home import Home
from ops.logs_file import Logs, OtherLog, begin_logs, check_address, note_log, read_logs
from ops.new_databases import new_log
from ops.settings import Settings
from ops.shared_logs import Copying, opened_store, settings_of, share


@dataclass(frozen=True, slots=True)
class Shown:
    """How one of a registry's logs stands; `fault` says why that cannot be told, or what is wrong."""

    label: str
    origin: str
    data: Path
    address: str
    size: int = 0
    shared: Standing | None = None
    fault: LedgerError | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the log has all that it shares with the first."""
        return self.fault is None and self.shared is not None and not (self.shared.behind or self.shared.left_out)


def add_log(home: Home, label: str, data: Path, address: str = "") -> OtherLog:
    """Make a log beside a registry's first one: named by its policy, with every key and policy event, and its keys.

    Broken off, the same call again goes on; a log that is there already is brought up to date.

    Args:
        home: the first log's.
        data: the new log's data folder.
        address: where it will be served; "" where it will not, or that is not known yet.

    Raises:
        UsageError: the folder holds something else, or this one is not the first log's.
        InvalidFieldError: that is no label.
        LedgerError: the policy is refused, or a database fails.
    """
    check_label(label)
    home.check_own()
    folder = home.settings.data
    if home.store.label:
        cure = "set PITH_DATA to the folder of the first log"
        raise UsageError("only the registry's first log gets others beside it", place=str(folder), cure=cure)
    other = OtherLog(label, data, address.rstrip("/"))
    if other.address:
        check_address(other.address, "--address")
    _check_free(folder, other)
    settings = settings_of(home.settings, other)
    if has_log(settings):
        with opened_store(home.settings, other, home.store.registry_name):
            pass  # it is this very log, whatever was left to do
    name_in_policy(home, label)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    begin_logs(data, label)
    _share_keys(home.settings, data)
    known = (OtherLog("", folder, home.settings.base_url), *read_logs(folder).others)
    for each in known:
        if each.label != label:
            note_log(data, each)
    if not has_log(settings):
        # It is there for others only once it holds all of what the logs share.
        with new_log(settings, home.store.registry_name, label) as database:
            Copying(home.store, Store(database)).copy()
    for each in known:
        if each.label != label and each.data.is_dir():
            note_log(each.data, other)
    if error := share(home).get(label):
        raise error
    return other


def name_in_policy(home: Home, label: str) -> None:
    """Have the registry's policy name a log, unless it does: only then is it one of the registry's."""
    policy: dict[str, Any] = msgspec.to_builtins(home.store.registry().policy())
    named = policy.get("logs", [])
    if label not in named:
        event, _ = home.signatory("event").sign("policy_set", "registry", {**policy, "logs": [*named, label]})
        home.append([Submission(event)])


def _check_free(folder: Path, other: OtherLog) -> None:
    """Refuse a folder that holds something else, and a label whose log is elsewhere."""
    place = str(other.data)
    for known in read_logs(folder).others:
        if known.label == other.label and known.data.resolve() != other.data.resolve():
            raise UsageError(f"the log {other.label} is in {known.data}", place=place, cure="name that folder")
    if not other.data.exists() or not any(other.data.iterdir()):
        return
    begun = read_logs(other.data)  # what an earlier attempt left is taken up
    is_ours = begun.first is None or begun.first.data.resolve() == folder.resolve()
    if begun.label != other.label or not is_ours:
        raise UsageError("the folder holds something else", place=place, cure="choose an empty folder")


def _share_keys(settings: Settings, data: Path) -> None:
    """Let a log's folder use the first one's keys, so that a key which is replaced is so for all of them."""
    keys = data / "keys"
    if not keys.exists() and not keys.is_symlink():
        keys.symlink_to(os.path.relpath(settings.keys.resolve(), data.resolve()), target_is_directory=True)


def standings(home: Home) -> list[Shown]:
    """Return how each of a registry's logs stands, the one here first."""
    name, settings, logs = home.store.registry_name, home.settings, read_logs(home.settings.data)
    found = [_shown(home.store, OtherLog(home.store.label, settings.data, settings.base_url), home, logs)]
    for other in logs.others:
        try:
            with opened_store(settings, other, name) as store:
                found.append(_shown(store, other, home, logs))
        except LedgerError as error:
            found.append(Shown(other.label, log_origin(name, other.label), other.data, other.address, fault=error))
    return found


def _shown(store: Store, of: OtherLog, home: Home, logs: Logs) -> Shown:
    size, registry = store.head().size, store.registry()
    shown = Shown(of.label, registry.origin, of.data, of.address, size)
    try:
        if of.label and not registry.has_log():
            cure = "run `pith log add` again in the folder of the first log"
            raise UsageError("the registry's policy does not name it", place=str(of.data), cure=cure)
        with _first(home, logs) as first:
            entries = first.of_registry(0, first.head().size)
        return replace(shown, shared=standing(entries, store.of_registry(0, size), registry))
    except LedgerError as error:
        return replace(shown, fault=error)


@contextmanager
def _first(home: Home, logs: Logs) -> Iterator[Store]:
    if not home.store.label:
        yield home.store
    elif logs.first is None:
        raise UsageError("it is not said where the registry's first log is", place="logs.toml")
    else:
        with opened_store(home.settings, logs.first, home.store.registry_name) as store:
            yield store
