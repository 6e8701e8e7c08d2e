"""Proving an account by an SSH key that its host lists for it, as github.com/USER.keys does.

The SSH key signs the hash of the Pith key's own statement, under a namespace that names the registry. The list is the
host's word at that moment, unsigned: what was seen is kept with the evidence.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from api.identity.evidence import Proven, check_same_person, prove, statement_digest
from api.identity.fetching import fetched_publicly
from api.identity.refusals import UnavailableError
from api.parts import Parts
from api.problems import NotOfferedError
from ledger.errors import InvalidFieldError, SignatureInvalidError
from ledger.keyring import Registration
from ledger.sshsig import key_blobs, parse_ssh_signature
from ledger.times import seconds

_USER: Final = re.compile(r"[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,63}", re.ASCII)


def namespace(registry: str) -> str:
    """Return the namespace (`ssh-keygen -Y sign -n …`) under which keys are vouched for to a registry."""
    return f"pith-key@{registry}"


def prove_ssh(parts: Parts, key: Registration, scheme: str, user: str, armored: str, *, consent: bool) -> Proven:
    """Append that an account is a key holder's.

    Args:
        scheme: which list, such as `github`.
        armored: the SSH signature over the 64 hex digits of the statement's SHA-256.

    Raises:
        NotOfferedError: there is no list of that name.
        InvalidFieldError, SignatureInvalidError, WeakKeyError: the signature proves nothing.
        IdentityMismatchError: the key was registered for another account there.
        UnavailableError: the list cannot be had.
        SubmissionError, StoreError: it cannot be appended.
    """
    template = parts.settings.ssh_key_lists.get(scheme)
    if template is None:
        known = ", ".join(sorted(parts.settings.ssh_key_lists)) or "none"
        raise NotOfferedError(f"no key lists of {scheme[:40]!r} are asked here", place="scheme", cure=f"use: {known}")
    account = user.lower()
    if not _USER.fullmatch(account):
        raise InvalidFieldError("not the name of an account", place="user")
    identifier = f"{scheme}:{account}"
    check_same_person(key, identifier)
    signature = parse_ssh_signature(armored)
    signed = statement_digest(key).hex()
    signature.verify(signed.encode(), namespace(parts.store.registry_name))
    url = template.replace("{user}", account)
    seen_at = parts.clock()
    listed = _list(parts, url)
    if signature.public_key not in key_blobs(listed):
        raise SignatureInvalidError(
            f"the SSH key is not in the list of {identifier}",
            place="signature",
            cure="add it to the account, or sign with one that is listed",
        )
    evidence = {
        "signature": armored,
        "signed_text": signed,
        "key_list": url,
        # Of the list only what counts: an account may hold hundreds of keys.
        "listed_key": f"{_kind(signature.public_key)} {base64.b64encode(signature.public_key).decode()}",
        "seen_at": seconds(seen_at),
    }
    return prove(parts, key, identifier, "ssh-signature", evidence, consent=consent)


def _list(parts: Parts, url: str) -> str:
    status, content = fetched_publicly(url, parts.clock)
    if status == 404:
        raise InvalidFieldError("there is no such account, or it lists no keys", place="user")
    if status != 200:
        raise UnavailableError("the key list cannot be had")
    return content.decode(errors="replace")


def _kind(blob: bytes) -> str:
    return blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode()
