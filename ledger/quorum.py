"""Trust policies (C2SP tlog-policy): which logs and witnesses are known, and whose cosignatures suffice.

A policy is a file of lines, `log`, `witness`, `group` and `quorum`, with words parted by spaces and tabs.
Names are opaque octets: text holds those that are not UTF-8 as surrogate escapes, so that different octets
stay different names. A name is used only after it is defined and is a member of one group at most, so
groups form trees and every witness counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from ledger.errors import LedgerError, UsageError, VerificationError
from ledger.notes import COSIGNATURE, ED25519, Verifier, parse_verifier

MAX_POLICY_BYTES: Final = 1 << 18
MAX_DEFINITIONS: Final = 256
"""How many logs, witnesses and groups one policy may define together."""

NONE: Final = "none"
"""The quorum that no cosignature is needed for; no name that a file defines."""

_FORBIDDEN: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log whose checkpoints are accepted; its key's name is the origin."""

    key: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness under the name it has in this policy, which need not be its key's."""

    name: str
    key: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and other groups, of which `threshold` have to witness a checkpoint for the group to do so."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy file says; groups stand in an order in which members come first, `quorum` None is `none`."""

    logs: tuple[KnownLog, ...]
    witnesses: tuple[KnownWitness, ...]
    groups: tuple[Group, ...]
    quorum: str | None

    def check(self, cosigners: Iterable[Verifier]) -> None:
        """Check that the quorum cosigned.

        Args:
            cosigners: keys whose cosignatures over one checkpoint were verified; those not of this policy's
                witnesses count for nothing.

        Raises:
            VerificationError: step `quorum`, with the witnesses that did not cosign where it matters.
        """
        keys = set(cosigners)
        witnessed = {witness.name for witness in self.witnesses if witness.key in keys}
        for group in self.groups:
            if len(witnessed.intersection(group.members)) >= group.threshold:
                witnessed.add(group.name)
        if self.quorum is None or self.quorum in witnessed:
            return
        groups = {group.name: group for group in self.groups}
        short, missing, unmet = [], [], [self.quorum]
        for name in unmet:
            if name in groups:
                group = groups[name]
                short.append(f"{shown(name)} has {len(witnessed.intersection(group.members))} of {group.threshold}")
                unmet.extend(member for member in group.members if member not in witnessed)
            else:
                missing.append(shown(name))
        counts = f" ({', '.join(short)})" if short else ""
        raise VerificationError(
            "quorum",
            f"the quorum {shown(self.quorum)} is not met{counts}: no cosignature by {', '.join(missing)}",
            cure="collect the missing cosignatures, or have the policy's owner change it",
        )


def parse(raw: bytes) -> Policy:
    """Parse a policy file.

    Raises:
        UsageError: the file breaks a rule of tlog-policy or a limit of ours; `place` is the line.
    """
    if len(raw) > MAX_POLICY_BYTES:
        raise UsageError(
            f"a policy of {len(raw)} bytes, {MAX_POLICY_BYTES} are allowed", place="line 1", cure="shorten its comments"
        )
    if found := _FORBIDDEN.search(raw):
        cure = "end lines with a newline alone" if found[0] == b"\r" else "remove it"
        _refuse(raw.count(b"\n", 0, found.start()) + 1, f"the octet 0x{found[0][0]:02x} is not allowed", cure)
    lines = raw.split(b"\n")
    if lines.pop():
        _refuse(len(lines) + 1, "the last line has no end", "end the file with a newline")
    reading = _Reading()
    for reading.line, line in enumerate(lines, 1):
        # Only ASCII space and tab part words; bytes.split() knows no other spaces that got this far.
        words = [word.decode("utf-8", "surrogateescape") for word in line.split()]
        if words and not words[0].startswith("#"):
            reading.take(*words)
    if reading.quorum is None:
        _refuse(max(1, len(lines)), "no quorum is defined", "add a line `quorum NAME`, or `quorum none`")
    return Policy(
        tuple(reading.logs.values()),
        tuple(reading.witnesses.values()),
        tuple(reading.groups),
        None if reading.quorum == NONE else reading.quorum,
    )


def shown(name: str) -> str:
    """Return a name as messages show it: octets that are not UTF-8 as `\\xNN`, at most 100 characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:100]


@dataclass(slots=True)
class _Reading:
    """A policy as far as it has been read; logs and witnesses by their public keys."""

    line: int = 0
    logs: dict[bytes, KnownLog] = field(default_factory=dict)
    witnesses: dict[bytes, KnownWitness] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    quorum: str | None = None

    def take(self, keyword: str, *words: str) -> None:
        match keyword, words:
            case "log", (key, *url) if len(url) < 2:
                self._log(key, *url)
            case "witness", (name, key, *url) if len(url) < 2:
                self._witness(name, key, *url)
            case "group", (name, threshold, *members) if members:
                self._group(name, threshold, members)
            case "quorum", (name,):
                self._quorum(name)
            case _:
                forms = "log KEY [URL], witness NAME KEY [URL], group NAME all|any|COUNT NAME…, quorum NAME"
                _refuse(self.line, f"{shown(keyword)} with {len(words)} words is no line of a policy", f"use {forms}")
        if len(self.logs) + len(self.names) > MAX_DEFINITIONS:
            _refuse(self.line, f"more than {MAX_DEFINITIONS} definitions", "split the policy in two")

    def _log(self, text: str, url: str | None = None) -> None:
        key = self._key(text, ED25519, "a log's key has the type 0x01 (Ed25519)")
        if self.logs.setdefault(key.public_key, found := KnownLog(key, url)) is not found:
            _refuse(self.line, "a log with this public key is defined above", "remove one of the two lines")

    def _witness(self, name: str, text: str, url: str | None = None) -> None:
        key = self._key(text, COSIGNATURE, "a witness's key has the type 0x04 (Ed25519 cosignature)")
        if self.witnesses.setdefault(key.public_key, found := KnownWitness(name, key, url)) is not found:
            _refuse(self.line, "a witness with this public key is defined above", "remove one of the two lines")
        self._define(name)

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            if member == NONE:
                _refuse(self.line, "none cannot be a member", "remove it from the group")
            self._known(member)
            if member in self.members:
                _refuse(self.line, f"{shown(member)} is a member already", "let each name be a member once")
            self.members.add(member)
        count = {"any": 1, "all": len(members)}.get(threshold)
        if count is None:
            if not _THRESHOLD.fullmatch(threshold) or int(threshold) > len(members):
                _refuse(
                    self.line,
                    f"{shown(threshold)} of {len(members)} members is no threshold",
                    f"give all, any or a number from 1 to {len(members)}",
                )
            count = int(threshold)
        self._define(name)
        self.groups.append(Group(name, count, tuple(members)))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            _refuse(self.line, "a second quorum", "keep one quorum line")
        if name != NONE:
            self._known(name)
        self.quorum = name

    def _key(self, text: str, kind: int, rule: str) -> Verifier:
        try:
            key = parse_verifier(text)
        except LedgerError as error:
            cure = error.cure or "copy the key again from who published it"
            raise UsageError(error.message, place=f"line {self.line}", cure=cure) from None
        if key.kind != kind:
            _refuse(self.line, f"the key of {shown(key.name)} has the type {key.kind:#04x}", rule)
        return key

    def _define(self, name: str) -> None:
        if name == NONE:
            _refuse(self.line, "none cannot be defined", "choose another name")
        if name in self.names:
            _refuse(self.line, f"{shown(name)} is defined above", "choose another name")
        self.names.add(name)

    def _known(self, name: str) -> None:
        if name not in self.names:
            _refuse(self.line, f"{shown(name)} is not defined above", "define it on a line before this one")


def _refuse(line: int, message: str, cure: str) -> NoReturn:
    raise UsageError(message, place=f"line {line}", cure=cure)
