"""`init`, `keygen`, `rotate`, `settings`: setting up and keeping keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ledger.errors import InvalidFieldError, UsageError
from ledger.keys import ROLES, SecretKey
from ledger.log_keys import log_verifier
from ledger.payloads import SignerId
from ledger.signing import HeldKey, Signatory
from ledger.subjects import registry_subject
from ops.cli.output import Json, opened, say, settings, tell
from ops.cli.remote import ItsLogKey, ItsRoot, connected, name_of
from ops.database_address import shown
from ops.databases import place_of
from ops.home import OWN_ROLES, create_home, now
from ops.importers.values import normal_orcid
from ops.keyfiles import read_key, write_key
from ops.migrations.lines import JOBS, LOG, PRIVATE
from ops.rotation import rotate as rotate_key
from ops.settings import api_settings
from ops.whole_files import as_file


def register(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(keygen)
    app.command()(rotate)
    app.command("settings")(show_settings)


def init(
    name: Annotated[str, typer.Argument(help="The registry's stable name, such as pith.example.")], json: Json = False
) -> None:
    """Make a new registry in PITH_DATA: its keys, its log and the log's first events."""
    home = create_home(settings(), name)
    root = home.store.entry(0).event.id_text
    home.catch_up()
    facts = {
        "registry": name,
        "root": root,
        "size": home.store.head().size,
        "data": str(home.settings.data),
        "keys": {role: home.signatory(role).key.key_id for role in OWN_ROLES},
        "receipt_public_key": home.signatory("receipt").key.public_key.hex(),
        "log_key": log_verifier(name, home.signatory("log").key.public_key).format(),
    }
    home.close()
    if json:
        tell(facts)
        return
    say(
        f"registry {name} is ready in {home.settings.data}",
        f"root       {root}",
        "           the log's trust anchor: publish it, so that anyone can check with --root",
        f"receipts   {facts['receipt_public_key']}",
        f"           the key that signs your records: publish it too, for `pith verify --key {name}=HEX`",
        f"log        {facts['log_key']}",
        "           the key that signs its checkpoints, for witnesses and monitors",
        f"keys       {home.settings.keys} (mode 0600; back them up, nobody can replace them)",
        "next       pith import FILE…",
    )


def keygen(
    context: typer.Context,
    signer_id: Annotated[str, typer.Argument(help="Whose key: orcid:0000-0002-1825-0097, did:web:…, …")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The key file to write.")],
    role: Annotated[
        str, typer.Option(help="contributor, moderator, storage_checker; or a further event, receipt or log.")
    ] = "contributor",
    registry: Annotated[
        str | None, typer.Option(help="The registry it is for; default: the one in PITH_DATA, or at --url.")
    ] = None,
    root: ItsRoot = None,
    log_key: ItsLogKey = None,
    json: Json = False,
) -> None:
    """Make a key and the statement by which it is registered."""
    if role not in ROLES or role == "foreign_receipt":
        raise UsageError(f"{role!r} is no role of a key that is made here", place="--role")
    try:
        msgspec.convert(signer_id, SignerId)
    except msgspec.ValidationError:
        raise InvalidFieldError(f"{signer_id!r} is no signer id", cure="the form is scheme:value") from None
    if signer_id.startswith("orcid:"):
        signer_id = f"orcid:{normal_orcid(signer_id[6:], 'signer_id')}"
    pith = "pith"
    if (client := connected(context, root, log_key)) is not None:
        with client as elsewhere:
            registry, pith = name_of(elsewhere, registry), f"pith --url {elsewhere.url}"
    elif registry is None:
        with opened() as home:
            registry = home.store.registry_name
    registry_subject(registry)  # refuses what is no registry's name before a file is made
    file = HeldKey(SecretKey(os.urandom(32)), registry, signer_id, role)
    write_key(output, file)
    statement = Signatory(read_key(output), now, os.urandom).statement()
    if json:
        tell({"key_id": file.key.key_id, "file": str(output), "statement": statement})
        return
    say(f"key        {file.key.key_id}", f"file       {output} (mode 0600: it is your signature, keep it)")
    if role == "contributor":
        say(f"next       {pith} sign key_registered --key {output} {'--send' if client else '| pith append -'}")
    else:
        statement_path = output.with_suffix(".statement.json")
        statement_path.write_bytes(as_file(statement))
        say(
            f"statement  {statement_path} (public: hand it to the registry)",
            f"next       pith sign key_registered registry @{statement_path}"
            " --key $PITH_DATA/keys/event.json | pith append -",
        )


def rotate(
    role: Annotated[str, typer.Argument(help="Which of the registry's own keys: event, receipt or log.")],
    json: Json = False,
) -> None:
    """Replace one of the registry's own keys by a new one; what the old one signed keeps counting."""
    with opened() as home:
        done = rotate_key(home, role)  # type: ignore[arg-type]  # the function refuses other words
        registry, logs = home.store.registry_name, home.store.registry().policy().logs or []
        home.catch_up()
    if json:
        tell({"role": role, "old_key_id": done.old, "new_key_id": done.new, "retired": str(done.retired)})
        return
    say(
        f"old        {done.old}",
        f"new        {done.new}",
        f"retired    {done.retired} (keep it with your backups: it signs nothing any more)",
        *(
            _about_log_key(done.public_key, registry, ["", *logs])
            if role == "log"
            else ["next       back up the new key"]
        ),
    )


def _about_log_key(public_key: bytes, registry: str, labels: list[str]) -> list[str]:
    return [
        *(f"log        {log_verifier(registry, public_key, label).format()}" for label in labels),
        "           tell witnesses first: they follow both keys from then on (--log OLD --log NEW)",
        "next       pith checkpoint",
    ]


def show_settings(json: Json = False) -> None:
    """Print the settings in force; of a secret, only that there is one."""
    found = settings()
    served = api_settings(found, os.environ)
    openid, mail = served.openid, served.mail
    facts = {
        "PITH_DATA": str(found.data),
        "PITH_BASE_URL": found.base_url,
        "PITH_WITNESS_POLICY": str(found.witness_policy or ""),
        "PITH_TRUSTED_PROXIES": " ".join(found.trusted_proxies),
        "PITH_SERVICES": str(found.services_path),
        "PITH_DATABASE_URL": shown(found.database_url) if found.database_url else "",
        "PITH_DATABASE_OWNER_URL": shown(found.owner_url) if found.owner_url else "",
        "PITH_DATABASE_SCHEMA": found.schema if found.database_url else "",
        "PITH_RATE_LIMITS": " ".join(f"{cost}={limit}" for cost, limit in served.rate_limits.items()),
        "PITH_OPENID_ISSUER": openid.issuer if openid else "",
        "PITH_OPENID_CLIENT_ID": openid.client_id if openid else "",
        "PITH_OPENID_CLIENT_SECRET": "(set)" if openid and openid.client_secret else "",
        "PITH_OPENID_SCHEME": openid.scheme if openid else "",
        "PITH_SMTP": f"{mail.host}:{mail.port}" if mail else "",
        "PITH_SMTP_SENDER": mail.sender if mail else "",
        "PITH_SMTP_USER": mail.user if mail else "",
        "PITH_SMTP_PASSWORD": "(set)" if mail and mail.password else "",
        "PITH_SSH_KEY_LISTS": " ".join(f"{scheme}={address}" for scheme, address in served.ssh_key_lists.items()),
        "ledger": place_of(found, LOG),
        "projections": str(found.projections_path),
        "private": place_of(found, PRIVATE),
        "jobs": place_of(found, JOBS),
        "keys": str(found.keys),
    }
    if json:
        tell(facts)
    else:
        say(*(f"{name:26} {value}".rstrip() for name, value in facts.items()))
