"""`policy`: what verdicts depend on besides events and keys, shown and changed piece by piece."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.appending import Submission
from ledger.errors import UsageError
from ledger.payloads import PolicySet
from ops.cli.output import Json, opened, say, tell

Policy = dict[str, Any]


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
    checker: Annotated[
        list[str] | None, typer.Option("--checker", help="Believe only these storage checkers (key id); repeat it.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the policy in force; with options, sign a changed one and append it. It counts for what comes after."""
    with opened() as home:
        before: Policy = msgspec.to_builtins(home.store.registry().policy())
        after = dict(before)
        for path in timestamp_root or ():
            after["timestamp_roots"] = _with_roots(after["timestamp_roots"], path)
        for name in drop_timestamp_root or ():
            after["timestamp_roots"] = _without_root(after["timestamp_roots"], name.lower())
        if clocks is not None:
            after["independent_clocks"] = clocks
        for pair in block or ():
            after["bitcoin"] = _with_block(after["bitcoin"], pair)
        if checker:
            after["checkers"] = list(dict.fromkeys(checker))
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
    for rule in found.bitcoin:
        fixed = f", {len(rule.checkpoints)} blocks fixed" if rule.checkpoints else ""
        lines.append(f"bitcoin      {rule.network}, at least 2^{rule.minimum_work_bits} hashes of work a block{fixed}")
    lines += [f"checker      {key}" for key in found.checkers] or [
        "checker      every key with the role storage_checker"
    ]
    for name, value in (("held", "held"), ("accepted", "accepted")):
        kinds = [kind for kind, rule in msgspec.to_builtins(found.moderation).items() if rule == value]
        lines.append(f"{name:12} {', '.join(kinds) or 'nothing'}")
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


def _with_block(rules: list[Policy], pair: str) -> list[Policy]:
    height, _, block = pair.partition("=")
    if not (height.isascii() and height.isdigit() and len(height) <= 9) or len(block) != 64:
        raise UsageError(f"{pair[:80]!r} is no HEIGHT=ID", place="--block", cure="the id has 64 hex digits")
    if not any(rule["network"] == "mainnet" for rule in rules):
        raise UsageError("the policy does not accept mainnet at all", place="--block")
    fixed = {str(int(height)): block.lower()}
    return [
        {**rule, "checkpoints": rule["checkpoints"] | fixed} if rule["network"] == "mainnet" else rule for rule in rules
    ]
