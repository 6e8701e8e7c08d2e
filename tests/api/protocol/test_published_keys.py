"""Who signs for the registry, and where its documents are to be had."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from ledger.keys import decode_signature, verify_receipt
from ledger.notes import parse_verifier
from ledger.records import suffix_of
from tests.api.asking import SHORT, SUFFIX, a_paper
from tests.api.registry import BASE_URL, Registry, a_registry
from tests.builders import MODERATOR, NUMBER, Who, key

SECOND = Who(key("the second receipt key"), "pith_registry", "registry:test.registry")


def signing_key(registry: Registry) -> dict[str, Any]:
    answer = registry.client.get("/pith-signing-key.json")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, SHORT)
    found: dict[str, Any] = answer.json()
    return found


def test_the_signing_key_verifies_the_receipts_of_records(registry: Registry) -> None:
    found, receipt = signing_key(registry), registry.client.get(f"/pith/{SUFFIX}.json").json()["receipt"]
    raw = bytes.fromhex(found["public_key_hex"])
    digest = bytes.fromhex(receipt["canonical_sha256"])
    verify_receipt(raw, digest, decode_signature(receipt["signature_b64"], ""))
    assert (receipt["key_id"], receipt["public_key_fingerprint"]) == (found["key_id"], found["fingerprint_sha256_hex"])


def test_it_has_the_shape_of_the_public_protocol(registry: Registry) -> None:
    found = signing_key(registry)
    raw = base64.b64decode(found["public_key_b64"])
    assert list(found)[:10] == [
        "key_id",
        "algorithm",
        "format",
        "public_key_b64",
        "public_key_hex",
        "fingerprint_sha256_b32_first128bits",
        "fingerprint_sha256_hex",
        "rotates_at",
        "url",
        "notes",
    ]
    assert (found["algorithm"], found["format"], found["rotates_at"]) == ("ed25519", "raw", None)
    assert found["public_key_hex"] == raw.hex()
    assert found["fingerprint_sha256_hex"] == hashlib.sha256(raw).hexdigest()[:32]
    assert found["fingerprint_sha256_b32_first128bits"] == suffix_of(hashlib.sha256(raw).digest())
    assert found["url"] == f"{BASE_URL}/pith-signing-key.json"


def test_the_other_keys_and_the_root_stand_beside_it(registry: Registry) -> None:
    found = signing_key(registry)
    identity = registry.client.get("/pith-log.json").json()
    assert (found["registry"], found["root"]) == (identity["registry"], identity["root"])
    world = registry.world
    known = {each["role"]: each for each in found["keys"]}
    assert {role: each["public_key_hex"] for role, each in known.items()} == {
        "receipt": world.receipt.key.public_key.hex(),
        "event": world.registry.key.public_key.hex(),
        "log": world.log.key.public_key.hex(),
    }
    assert parse_verifier(known["log"]["verifier_key"]).name == known["log"]["origin"] == identity["origin"]
    assert MODERATOR.key.key_id not in str(found)


def test_a_successor_takes_the_place_of_a_rotated_key(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        world = registry.world
        registry.admit(world.rotation(world.receipt, SECOND, "receipt", by=world.registry))
        registry.caught_up()
        found = signing_key(registry)
        assert found["key_id"] == SECOND.key.key_id
        assert [each["key_id"] for each in found["keys"] if each["role"] == "receipt"] == [SECOND.key.key_id]
        mirrors = registry.client.get("/pith-mirrors.json").json()
        assert mirrors["mirrors"][0]["public_key"]["key_id"] == SECOND.key.key_id


def test_a_revoked_key_is_not_shown(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        world = registry.world
        registry.admit(world.revocation(world.receipt, by=world.registry))
        registry.caught_up()
        answer = registry.client.get("/pith-signing-key.json")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert registry.client.get("/pith-mirrors.json").json()["mirrors"][0]["public_key"] is None


def test_an_expired_key_is_not_shown(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        world = registry.world
        short_lived = {"not_before": "2026-01-01T00:00:00Z", "not_after": "2026-01-02T00:00:00Z"}
        registry.admit(world.registration(SECOND, "receipt", **short_lived))
        registry.caught_up()
        assert signing_key(registry)["key_id"] == world.receipt.key.key_id


def test_the_manifest_names_this_registry_as_primary(registry: Registry) -> None:
    answer = registry.client.get("/pith-mirrors.json")
    assert answer.headers["cache-control"] == SHORT
    found = answer.json()
    assert (found["manifest_type"], found["manifest_version"]) == ("pith_mirror_manifest", "1.0")
    (mirror,) = found["mirrors"]
    assert (mirror["name"], mirror["mirror_type"], mirror["base_url"], mirror["status"]) == (
        "test.registry",
        "https",
        BASE_URL,
        "primary",
    )
    key = {name: value for name, value in signing_key(registry).items() if name not in ("registry", "root", "keys")}
    assert mirror["public_key"] == key


def test_the_patterns_of_the_manifest_lead_to_documents(registry: Registry) -> None:
    (mirror,) = registry.client.get("/pith-mirrors.json").json()["mirrors"]
    for name in ("bundle_pattern", "state_pattern", "well_known_pattern"):
        address = mirror[name].replace("{suffix}", SUFFIX).removeprefix(BASE_URL)
        assert registry.client.get(address).json()["pith_number"] == NUMBER


def test_both_stay_the_same_while_the_registrys_keys_do(registry: Registry) -> None:
    for path in ("/pith-signing-key.json", "/pith-mirrors.json"):
        tag = registry.client.get(path).headers["etag"]
        a_paper(registry)
        assert registry.client.get(path, headers={"if-none-match": tag}).status_code == 304
