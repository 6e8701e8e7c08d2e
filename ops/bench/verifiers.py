"""What other Ed25519 verifiers would save over PyNaCl, and whether they follow the log's rule.

Each library that is installed verifies the same signatures of events in turns: on one process, then on two at once.
Processor time is compared, not wall time, so that others on the machine disturb little. Then each is asked for the
known answers of `ledger.pinned_rule`, and watched for whether it lets other threads run meanwhile. To measure all of
them, install them beside the project:

    pip install py-ed25519-zebra-bindings solders tink
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from multiprocessing.connection import Connection
from typing import Any, Final

from ledger.errors import LedgerError, SubmissionError, UnfitVerifierError
from ledger.keys import EVENT_DOMAIN, SecretKey, verify
from ledger.pinned_rule import Verifier, check_verifier

SIGNATURES: Final = 300
SIGNERS: Final = 50


def main() -> None:
    """Print a line for each verifier that is installed."""
    parser = argparse.ArgumentParser(description="Compare Ed25519 verifiers with PyNaCl.")
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    verifiers = installed()
    one, two = (measure(list(verifiers), rounds, processes) for processes in (1, 2))
    print(f"{'':34}{'one process':>16}{'two at once':>16}  {'threads':8}the log's rule")
    for name, verifier in verifiers.items():
        found = [f"{took[name]:6.1f} µs ×{took['pynacl'] / took[name]:.2f}" for took in (one, two)]
        threads = "run" if lets_threads_run(verifier) else "wait"
        print(f"{name + ' ' + version(name):34}{found[0]:>16}{found[1]:>16}  {threads:8}{rule_of(verifier)}")


def installed() -> Mapping[str, Verifier]:
    """Return the verifiers by the names of their packages, PyNaCl first."""
    makers: dict[str, Callable[[], Verifier]] = {
        "pynacl": lambda: _pynacl,
        "cryptography": _cryptography,
        "py-ed25519-zebra-bindings": _zebra,
        "solders": _solders,
        "tink": _tink,
    }
    found = {}
    for name, make in makers.items():
        try:
            found[name] = make()
        except ImportError:
            continue
    return found


def rule_of(verifier: Verifier) -> str:
    """Say whether a verifier gives the known answers, and else which is the first that it does not."""
    try:
        check_verifier(verifier, "")
    except UnfitVerifierError as error:
        return error.message.strip().removesuffix(", against the rule of the log")
    return "kept"


def lets_threads_run(verifier: Verifier) -> bool:
    """Say whether a verifier lets go of the interpreter's lock: whether anything else runs between its calls."""
    ran = threading.Event()
    barred = threading.Lock()
    barred.acquire()
    cases = list(signed())

    def wait() -> None:
        with barred:
            ran.set()

    waiting = threading.Thread(target=wait)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)  # nothing takes the lock from the verifier; it can only be given
    try:
        waiting.start()
        barred.release()
        for case in cases:
            verifier(*case)
        return ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        waiting.join()


def measure(names: list[str], rounds: int, processes: int) -> dict[str, float]:
    """Return the processor time of one verification by each library, in microseconds: the median of all rounds."""
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(processes)]
    workers = [context.Process(target=_work, args=(theirs,), daemon=True) for _, theirs in ends]
    for worker, (_, theirs) in zip(workers, ends, strict=True):
        worker.start()
        theirs.close()  # so that a worker's end is noticed
    try:
        took: dict[str, list[float]] = {name: [] for name in names}
        for name in [*names, *(name for _ in range(rounds) for name in names)]:  # the first of each only warms up
            for ours, _ in ends:
                ours.send(name)
            took[name].append(statistics.mean(ours.recv() for ours, _ in ends))
        return {name: statistics.median(samples[1:]) * 1e6 for name, samples in took.items()}
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def signed() -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield public keys, messages as events have them, and signatures."""
    keys = [SecretKey(hashlib.sha256(b"signer %d" % number).digest()) for number in range(SIGNERS)]
    for number in range(SIGNATURES):
        key, digest = keys[number % SIGNERS], hashlib.sha256(b"event %d" % number).digest()
        yield key.public_key, EVENT_DOMAIN + digest, key.sign_event(digest)


def _work(orders: Connection) -> None:
    verifiers, cases = installed(), list(signed())
    while True:
        accepts = verifiers[orders.recv()]
        before = time.process_time()
        right = all(accepts(*case) for case in cases)
        took = time.process_time() - before
        if not right:
            raise LedgerError("a verifier refused an honest signature")
        orders.send(took / len(cases))


def _pynacl(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify(public_key, message, signature)
    except SubmissionError:
        return False
    return True


def _zebra() -> Verifier:
    ed_verify = import_module("ed25519_zebra").ed_verify
    return _unless_raised(lambda key, message, signature: ed_verify(signature, message, key))


def _solders() -> Verifier:
    signature_of, key_of = import_module("solders.signature").Signature, import_module("solders.pubkey").Pubkey
    return _unless_raised(lambda key, message, signature: signature_of(signature).verify(key_of(key), message))


def _cryptography() -> Verifier:
    module = import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    return _by_key(module.Ed25519PublicKey.from_public_bytes)


def _tink() -> Verifier:
    tink, kind = import_module("tink"), import_module("tink.signature")
    sets, keys = import_module("tink.proto.tink_pb2"), import_module("tink.proto.ed25519_pb2")
    kind.register()

    def verifier_of(public_key: bytes) -> Any:
        data = sets.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.Ed25519PublicKey",
            value=keys.Ed25519PublicKey(key_value=public_key).SerializeToString(),
            key_material_type=sets.KeyData.ASYMMETRIC_PUBLIC,
        )
        key = sets.Keyset.Key(key_data=data, status=sets.ENABLED, key_id=1, output_prefix_type=sets.RAW)
        keyset = sets.Keyset(primary_key_id=1, key=[key]).SerializeToString()
        return tink.proto_keyset_format.parse_without_secret(keyset).primitive(kind.PublicKeyVerify)

    return _by_key(verifier_of)


def _by_key(verifier_of: Callable[[bytes], Any]) -> Verifier:
    known: dict[bytes, Any] = {}

    def accepts(public_key: bytes, message: bytes, signature: bytes) -> bool:
        if public_key not in known:
            known[public_key] = verifier_of(public_key)
        known[public_key].verify(signature, message)
        return True

    return _unless_raised(accepts)


def _unless_raised(accepts: Verifier) -> Verifier:
    def tried(public_key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            return accepts(public_key, message, signature)
        except Exception:  # each library has errors of its own for a refusal
            return False

    return tried


if __name__ == "__main__":
    main()
