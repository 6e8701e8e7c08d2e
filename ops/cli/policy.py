"""`policy`: what verdicts depend on besides events and keys, shown and changed piece by piece."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.appending import Submission
from ledger.errors import UsageError
from ledger.payloads import PolicySet
from ledger.registry import DEFAULT_POLICY
from ops.cli.output import Json, opened, say, tell
from ops.counting import counted

Policy = dict[str, Any]

_HEX64: Final = re.compile(r"[0-9a-f]{64}")
_HEIGHT: Final = re.compile(r"[0-9]{1,9}")
_TOYS: Final = ("regtest", "litecoin-regtest")
_NETWORKS: Final = {
    **{rule["network"]: rule for rule in DEFAULT_POLICY["bitcoin"]},
    **{name: {"network": name, "minimum_work_bits": 0, "checkpoints": {}} for name in _TOYS},
}
"""Networks that can be accepted, each with the rule by which it is."""

_ANY: Final = "any"


def register(app: typer.Typer) -> None:
    app.command()(policy)


def policy(
    timestamp_root: Annotated[
        list[Path] | None,
        typer.Option("--timestamp-root", help="Accept timestamp authorities under the certificates of this PEM file."),
    ] = None,
    drop_timestamp_root: Annotated[
        list[str] | None, typer.Option("--drop-timestamp-root", help="Accept a certificate no more (SHA-256 in hex).")
    ] = None,
    clocks: Annotated[
        int | None, typer.Option("--clocks", help="How many independent clocks make an anchor.", min=1, max=10)
    ] = None,
    block: Annotated[
        list[str] | None, typer.Option("--block", help="Fix the id of a Bitcoin block, as HEIGHT=ID.")
    ] = None,
    drop_block: Annotated[
        list[str] | None, typer.Option("--drop-block", help="Fix the id of a block no more.", metavar="HEIGHT")
    ] = None,
    accept_network: Annotated[
        list[str] | None,
        typer.Option("--accept-network", help="Accept blocks of this network; of a toy one for trying out only."),
    ] = None,
    drop_network: Annotated[
        list[str] | None, typer.Option("--drop-network", help="Accept blocks of this network no more.")
    ] = None,
    checker: Annotated[
        list[str] | None,
        typer.Option("--checker", help="Believe only these storage checkers (key id); repeat it, or say `any`."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the policy in force; with options, sign a changed one and append it. It counts for what comes after."""
    options = timestamp_root, drop_timestamp_root, clocks, block, drop_block, accept_network, drop_network, checker
    with opened() as home:
        if any(option is not None and option != [] for option in options):
            home.check_own()
        before: Policy = msgspec.to_builtins(home.store.registry().policy())
        after = dict(before)
        for path in timestamp_root or ():
            after["timestamp_roots"] = _with_roots(after["timestamp_roots"], path)
        for name in drop_timestamp_root or ():
            after["timestamp_roots"] = _without_root(after["timestamp_roots"], name.lower())
        if clocks is not None:
            after["independent_clocks"] = clocks
        for network in accept_network or ():
            after["bitcoin"] = _with_network(after["bitcoin"], network)
        for network in drop_network or ():
            after["bitcoin"] = _without_network(after["bitcoin"], network)
        for pair in block or ():
            after["bitcoin"] = _with_block(after["bitcoin"], pair)
        for height in drop_block or ():
            after["bitcoin"] = _without_block(after["bitcoin"], height)
        if checker:
            after["checkers"] = _checkers(checker)
        if after != before:
            event, _ = home.signatory("event").sign("policy_set", "registry", after)
            home.append([Submission(event)])
            home.catch_up()
    if json:
        tell(after)
        return
    say(*_lines(msgspec.convert(after, PolicySet)))
    if after != before:
        say("appended: it counts from here on")


def _lines(found: PolicySet) -> list[str]:
    lines = [f"clocks       {found.independent_clocks or 1} must vouch for something before it is anchored"]
    for root in found.timestamp_roots:
        der = base64.b64decode(root)
        subject = x509.load_der_x509_certificate(der).subject.rfc4514_string()
        lines.append(f"authority    {hashlib.sha256(der).hexdigest()}  {subject}")
    if not found.timestamp_roots:
        lines.append("authority    none; accept one with `pith policy --timestamp-root root.pem`")
    for rule in found.bitcoin:
        fixed = f", {counted(len(rule.checkpoints), 'block')} fixed" if rule.checkpoints else ""
        lines.append(f"bitcoin      {rule.network}, at least 2^{rule.minimum_work_bits} hashes of work a block{fixed}")
        if rule.network in _TOYS:
            lines.append(
                f"WARNING      anybody can make blocks of {rule.network} for nothing: its anchors prove NOTHING about "
                f"time; `pith policy --drop-network {rule.network}` ends that"
            )
    if not found.bitcoin:
        lines.append("bitcoin      none; accept it with `pith policy --accept-network mainnet`")
    lines += [f"checker      {key}" for key in found.checkers] or [
        "checker      every key with the role storage_checker"
    ]
    for name, value in (("held", "held"), ("accepted", "accepted")):
        kinds = [kind for kind, rule in msgspec.to_builtins(found.moderation).items() if rule == value]
        lines.append(f"{name:12} {', '.join(kinds) or 'nothing'}")
    lines += [f"log          {label} beside the first" for label in found.logs or ()]
    matched = [name for name, is_matched in msgspec.to_builtins(found.matching).items() if is_matched]
    lines.append(f"matching     {', '.join(matched) or 'nothing'} make an author's claim strong")
    return [*lines, f"limits       {found.max_event_bytes} bytes an event, {found.skew_seconds} seconds of skew"]


def _with_roots(roots: list[str], path: Path) -> list[str]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", place=str(path)) from None
    except ValueError:
        cure = "convert it with `openssl x509 -in FILE -outform PEM`"
        raise UsageError("there is no certificate in PEM form here", place=str(path), cure=cure) from None
    found = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in certificates]
    return list(dict.fromkeys([*roots, *found]))


def _without_root(roots: list[str], name: str) -> list[str]:
    kept = [root for root in roots if hashlib.sha256(base64.b64decode(root)).hexdigest() != name]
    if len(kept) == len(roots):
        raise UsageError(f"no accepted certificate has the SHA-256 {name[:80]}", cure="see `pith policy`")
    return kept


def _with_network(rules: list[Policy], network: str) -> list[Policy]:
    if network not in _NETWORKS:
        cure = f"use one of {', '.join(_NETWORKS)}"
        raise UsageError(f"there is no network {network[:40]!r}", place="--accept-network", cure=cure)
    if any(rule["network"] == network for rule in rules):
        return rules
    return [*rules, _NETWORKS[network]]


def _without_network(rules: list[Policy], network: str) -> list[Policy]:
    kept = [rule for rule in rules if rule["network"] != network]
    if len(kept) == len(rules):
        raise UsageError(f"no network {network[:40]!r} is accepted", place="--drop-network", cure="see `pith policy`")
    return kept


def _checkers(names: list[str]) -> list[str]:
    """Return the key ids to believe; none of them for every key."""
    if names == [_ANY]:
        return []
    for name in names:
        if not _HEX64.fullmatch(name):
            cure = "give the 64 hex digits that `pith keygen` printed as its key, or `any` alone for every key"
            raise UsageError(f"{name[:80]!r} is no key id", place="--checker", cure=cure)
    return list(dict.fromkeys(names))


def _without_block(rules: list[Policy], height: str) -> list[Policy]:
    if not _HEIGHT.fullmatch(height):
        raise UsageError(f"{height[:40]!r} is no height", place="--drop-block", cure="give it in digits")
    name = str(int(height))
    if not any(name in rule["checkpoints"] for rule in rules if rule["network"] == "mainnet"):
        raise UsageError(f"no block is fixed at {name}", place="--drop-block", cure="see `pith policy --json`")
    return [
        {**rule, "checkpoints": {at: id for at, id in rule["checkpoints"].items() if at != name}}
        if rule["network"] == "mainnet"
        else rule
        for rule in rules
    ]


def _with_block(rules: list[Policy], pair: str) -> list[Policy]:
    height, _, block = pair.partition("=")
    if not _HEIGHT.fullmatch(height):
        raise UsageError(f"{pair[:80]!r} is no HEIGHT=ID", place="--block", cure="such as 0=000000000019d6…")
    if not _HEX64.fullmatch(block.lower()):
        raise UsageError(f"{block[:80]!r} is no id of a block", place="--block", cure="it has 64 hex digits")
    if not any(rule["network"] == "mainnet" for rule in rules):
        cure = "accept it too: --accept-network mainnet"
        raise UsageError("the policy does not accept mainnet at all", place="--block", cure=cure)
    fixed = {str(int(height)): block.lower()}
    return [
        {**rule, "checkpoints": rule["checkpoints"] | fixed} if rule["network"] == "mainnet" else rule for rule in rules
    ]
