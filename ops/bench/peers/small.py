# mypy: disable-error-code="import-not-found"
"""Small tamper-evident ledgers of PyPI: append, verify the whole log, prove, each by the library's own calls.

Settings: `folder`, `events`, `filled`, `library` (one of `LEDGERS`).
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from answering import Case, Outcome, Pipe, Supply, read_events

Payload = dict[str, Any]


class Ledger:
    """A log at a path; a call that a library does not offer is left out of its cases."""

    append: Callable[[Payload], object]
    verify: Callable[[], object]
    bulk: Callable[[list[Payload]], object] | None = None
    prove: Callable[[int], object] | None = None


class Auditchain(Ledger):
    def __init__(self, path: str) -> None:
        library = importlib.import_module("auditchain")
        seed, public = library.generate_keypair()
        loop = asyncio.new_event_loop()
        log = library.AuditLog(library.SqliteBackend(path), signing_key=seed)
        loop.run_until_complete(log.init())

        def verify() -> None:
            outcome = loop.run_until_complete(log.verify(signers={"s0": public}))
            assert outcome.ok, outcome

        self.append = lambda said: loop.run_until_complete(log.append("a", "attest", _subject(said), metadata=said))
        self.bulk = lambda all_said: loop.run_until_complete(
            log.append_many([("a", "attest", _subject(said), said) for said in all_said])
        )
        self.verify = verify
        self.prove = lambda position: loop.run_until_complete(log.inclusion_proof(position))


class Nexuscone(Ledger):
    def __init__(self, path: str) -> None:
        library, signing = importlib.import_module("nexuscone"), importlib.import_module("nexuscone.signing")
        signer = signing.Ed25519Signer.from_seed("k", "11" * 32)
        verifier = signing.Ed25519Verifier({"k": signer.public_key_hex})
        loop = asyncio.new_event_loop()
        log = library.Ledger(path)
        loop.run_until_complete(log.init())
        self.append = lambda said: loop.run_until_complete(
            log.log(actor="a", action="attest", payload=said, signer=signer)
        )
        self.verify = lambda: loop.run_until_complete(log.verify_chain(verifier=verifier))


class Provara(Ledger):
    def __init__(self, path: str) -> None:
        library = importlib.import_module("provara.storage_sqlite")
        vault, key = library.Vault(path), library.generate_keypair()[0]

        def verify() -> None:
            holds, reason = vault.verify_chain()
            assert holds, reason

        self.append = lambda said: vault.append("OBSERVATION", said, key)
        self.verify = verify


class Tamperlog(Ledger):
    def __init__(self, path: str) -> None:
        library = importlib.import_module("tamperlog")
        log = library.AppendOnlyLog(library.JSONLStorage(path))
        self.append = log.append_json
        self.verify = log.verify_all_entries
        self.prove = log.prove_inclusion


LEDGERS: dict[str, Callable[[str], Ledger]] = {
    "auditchain": Auditchain,
    "nexuscone": Nexuscone,
    "provara-protocol": Provara,
    "tamperlog": Tamperlog,
}


def _subject(said: Payload) -> str:
    return str(said["subject_pith_number"])


def main() -> None:
    pipe = Pipe()
    name, filled = pipe.settings["library"], pipe.settings["filled"]
    # What these libraries sign themselves needs no signature of ours.
    ours = ("event_id", "signature_b64")
    said = [json.loads(raw) for raw in read_events(pipe.settings["events"], 5_000)]
    payloads = Supply([{key: value for key, value in one.items() if key not in ours} for one in said])
    growing, full = (LEDGERS[name](os.path.join(pipe.settings["folder"], log)) for log in ("growing", "full"))
    if full.bulk:
        full.bulk(payloads.take(filled))
    else:
        for payload in payloads.take(filled):
            full.append(payload)

    def one(count: int) -> Outcome:
        taken = payloads.take(count)
        started = time.perf_counter()
        for payload in taken:
            growing.append(payload)
        return count, time.perf_counter() - started

    def bulk(count: int) -> Outcome:
        taken = payloads.take(count)
        started = time.perf_counter()
        assert growing.bulk is not None
        growing.bulk(taken)
        return count, time.perf_counter() - started

    def verify(_count: int) -> Outcome:
        started = time.perf_counter()
        full.verify()
        return filled, time.perf_counter() - started

    def prove(count: int) -> Outcome:
        started = time.perf_counter()
        assert full.prove is not None
        for at in range(count):
            full.prove(at * 7_919 % filled)
        return count, time.perf_counter() - started

    cases: dict[str, Case] = {"append one": one, "verify": verify}
    if growing.bulk:
        cases["append bulk"] = bulk
    if full.prove:
        cases["prove"] = prove
    pipe.answer(f"{name} {version(name)}", cases)


if __name__ == "__main__":
    main()
