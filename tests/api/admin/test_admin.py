"""Operators' routes: what a token may do, what it may not, and what becomes of wrong ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import func, select

from api.admin.tokens import PREFIX, TOKENS, create_token, revoke_token, tokens
from api.identity.tables import EVIDENCE
from api.settings import ApiSettings
from ledger.errors import UsageError
from ledger.keys import encode_signature
from ledger.signatures import digest_of
from ops.home import now
from projections import queries
from tests.api.identity.serving import Identities, identities
from tests.builders import ALICE, BOB, CAROL, NUMBER, Who, key

ROUTES = [
    ("POST", "/api/admin/keys"),
    ("POST", "/api/admin/identity-evidence"),
    ("GET", "/api/admin/status"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    with identities(tmp_path_factory.mktemp("admin"), ApiSettings) as served:
        yield served


@pytest.fixture(scope="module")
def token(served: Identities) -> str:
    return a_token(served, "anna")


def a_token(served: Identities, name: str) -> str:
    return create_token(served.registry.parts.private, name, now(), served.registry.parts.random)


def ask(served: Identities, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
    return served.client.request(method, path, json=body, headers={"authorization": f"Bearer {token}"})


def a_key(served: Identities, name: str, role: str, **changes: Any) -> tuple[Who, dict[str, Any]]:
    """Return somebody and the file that they hand to the operator."""
    who = Who(key(name), "contributor", f"name:{name}")
    statement = served.registry.world.statement(who, role, **changes)
    signature = encode_signature(who.key.sign_statement(digest_of(statement)))
    return who, {"statement": statement, "statement_signature_b64": signature}


# Tokens.


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        f"Bearer {PREFIX}{'A' * 43}",
        f"Bearer {PREFIX}{'A' * 42}",
        f"Basic {PREFIX}{'A' * 43}",
        "Bearer é",
        "Bearer " + "A" * 5000,
    ],
)
def test_without_a_good_token_nothing_is_told_or_done(
    served: Identities, method: str, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    answer = served.client.request(method, path, json={}, headers=headers)
    served.refused(answer, 401, "unauthorized", served.size())
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_key_is_no_token(served: Identities) -> None:
    served.refused(served.ask(served.registry.world.registry, "GET", "/api/admin/status"), 401, "unauthorized")


def test_a_token_in_the_address_is_none(served: Identities, token: str) -> None:
    served.refused(served.client.get(f"/api/admin/status?access_token={token}"), 401, "unauthorized")


def test_two_tokens_are_one_too_many(served: Identities, token: str) -> None:
    headers = [("authorization", f"Bearer {token}")] * 2
    served.refused(served.client.get("/api/admin/status", headers=headers), 400, "ambiguous-request")


def test_a_revoked_token_is_refused_at_once(served: Identities) -> None:
    token = a_token(served, "bert")
    assert ask(served, token, "GET", "/api/admin/status").status_code == 200
    revoke_token(served.registry.parts.private, "bert", now())
    served.refused(ask(served, token, "GET", "/api/admin/status"), 401, "unauthorized")
    with pytest.raises(UsageError):
        a_token(served, "bert")


def test_only_the_hash_of_a_token_is_kept(served: Identities, token: str) -> None:
    with served.registry.parts.private.read() as connection:
        rows = connection.execute(TOKENS.select()).all()
    assert all(token.encode() not in repr(row).encode() and token[5:] not in repr(row) for row in rows)
    path = served.registry.home.settings.private_path
    for file in path.parent.glob(path.name + "*"):
        assert token.encode() not in file.read_bytes()


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a-", "a\n", "é", "a" * 64, "a/b"])
def test_a_token_has_a_plain_name(served: Identities, name: str) -> None:
    count = len(tokens(served.registry.parts.private))
    with pytest.raises(UsageError):
        a_token(served, name)
    assert len(tokens(served.registry.parts.private)) == count


# Keys.


@pytest.mark.parametrize("role", ["moderator", "storage_checker"])
def test_a_key_of_that_role_is_registered_by_the_registry(served: Identities, token: str, role: str) -> None:
    who, body = a_key(served, f"a-{role}", role)
    answer = ask(served, token, "POST", "/api/admin/keys", body)
    assert answer.status_code == 201, answer.text
    found = served.registry.home.store.registry().keys.find(who.key.key_id)
    assert found is not None
    assert (found.role, found.position, found.signed_by) == (
        role,
        answer.json()["position"],
        served.registry.world.registry.key.key_id,
    )
    entry = served.registry.home.store.entry(found.position)
    assert answer.json()["event_id"] == entry.event.id_text


@pytest.mark.parametrize("role", ["event", "receipt", "log", "foreign_receipt", "contributor", "owner"])
def test_no_token_gives_another_role(served: Identities, token: str, role: str) -> None:
    """A stolen token must not become the registry's own key."""
    changes = {"signer_id": f"registry:{served.registry.world.name}"} if role in ("event", "receipt", "log") else {}
    _, body = a_key(served, f"a-{role}", role, **changes)
    served.refused(ask(served, token, "POST", "/api/admin/keys", body), 400, "invalid-field", served.size())


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"signature": "A" * 86 + "=="}, 422, "signature-invalid"),
        ({"signature": "x"}, 400, "invalid-field"),
        ({"signature": ""}, 400, "invalid-field"),
        ({"registry": "other.registry"}, 422, "foreign-registry"),
        ({"signer_id": "registry:test.registry"}, 422, "signer-mismatch"),
        ({"signer_id": "email:a@example.org"}, 400, "invalid-field"),
        ({"public_key": "01" + "00" * 31}, 422, "weak-key"),
        ({"not_after": "2026-01-01T00:00:00Z"}, 400, "invalid-field"),
        ({"not_before": "2026-02-30T00:00:00Z"}, 400, "invalid-field"),
        ({"label": "x"}, 400, "invalid-field"),
    ],
)
def test_a_statement_must_hold(served: Identities, token: str, changes: dict[str, Any], status: int, code: str) -> None:
    changes = dict(changes)
    signature = changes.pop("signature", None)
    _, body = a_key(served, "whose-statement-is-wrong", "moderator", **changes)
    if signature is not None:
        body["statement_signature_b64"] = signature
    served.refused(ask(served, token, "POST", "/api/admin/keys", body), status, code, served.size())


def test_a_key_is_registered_once(served: Identities, token: str) -> None:
    _, body = a_key(served, "twice", "moderator")
    assert ask(served, token, "POST", "/api/admin/keys", body).status_code == 201
    served.refused(ask(served, token, "POST", "/api/admin/keys", body), 422, "rule-violation", served.size())


# Evidence.


def attach(served: Identities, token: str, **body: Any) -> httpx.Response:
    given = {"identifier": ALICE.signer_id, "method": "publisher-metadata", "evidence": "The deposit says so.", **body}
    return ask(served, token, "POST", "/api/admin/identity-evidence", given)


def strong_claims(served: Identities) -> int:
    served.registry.caught_up()
    document = queries.record(served.registry.parts.projections, NUMBER, 0)
    return int(msgspec.json.decode(document["verification_status"])["strong_author_claims"])


def test_an_authors_identifier_makes_a_proven_claim_strong(served: Identities, token: str) -> None:
    world = served.registry.world
    served.registry.admit(world.author(ALICE))
    answer = attach(served, token, key_id=ALICE.key.key_id)
    assert (answer.status_code, served.proven(ALICE)) == (201, {ALICE.signer_id}), answer.text
    before = strong_claims(served)
    answer = attach(served, token, subject=NUMBER, author_position=1, author_name="A. Author")
    assert answer.status_code == 201, answer.text
    assert (before, strong_claims(served)) == (0, 1)


def test_the_evidence_stays_private_without_consent(served: Identities, token: str) -> None:
    kept = attach(served, token, subject=NUMBER).json()["event_id"]
    shown = attach(served, token, subject=NUMBER, consent=True).json()["event_id"]
    assert (served.private_text(kept), served.published_text(kept)) == ("The deposit says so.", None)
    assert (served.private_text(shown), served.published_text(shown)) == (None, "The deposit says so.")


def test_an_address_given_in_clear_stands_as_the_same_commitment_as_a_letters(served: Identities, token: str) -> None:
    found = [
        attach(served, token, subject=NUMBER, identifier=f"email:{address}").json()["identifier"]
        for address in ("carberry@example.org", "Carberry@Example.org", "other@example.org")
    ]
    assert found[0] == found[1] != found[2]
    assert found[0].startswith("email:") and "@" not in found[0]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "missing-field"),
        ({"subject": NUMBER, "key_id": ALICE.key.key_id}, 400, "missing-field"),
        ({"subject": "registry"}, 400, "missing-field"),
        ({"subject": "pith:registry:test.registry"}, 400, "missing-field"),
        ({"subject": "pith:registry:other.registry"}, 400, "invalid-field"),
        ({"subject": "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 422, "record-missing"),
        ({"subject": "no number"}, 400, "invalid-field"),
        ({"key_id": "0" * 64}, 422, "target-missing"),
        ({"key_id": "x"}, 400, "invalid-field"),
        ({"key_id": ALICE.key.key_id, "author_position": 1}, 400, "invalid-field"),
        ({"key_id": ALICE.key.key_id, "identifier": "orcid:0000-0001-5109-3700"}, 403, "identity-mismatch"),
        ({"key_id": BOB.key.key_id, "identifier": "name:somebody-else"}, 403, "identity-mismatch"),
        ({"subject": NUMBER, "identifier": "nothing"}, 400, "invalid-field"),
        ({"subject": NUMBER, "identifier": "email:a@b"}, 400, "invalid-field"),
        ({"subject": NUMBER, "identifier": "email:a"}, 400, "invalid-field"),
        ({"subject": NUMBER, "author_position": 0}, 400, "invalid-field"),
        ({"subject": NUMBER, "proven_at": "yesterday"}, 400, "invalid-field"),
        ({"subject": NUMBER, "proven_at": "2026-02-30T00:00:00Z"}, 400, "invalid-field"),
        ({"subject": NUMBER, "evidence": "é" * 9_000}, 400, "invalid-field"),
        ({"subject": NUMBER, "evidence": ""}, 400, "invalid-field"),
        ({"subject": NUMBER, "method": "two\nlines"}, 400, "invalid-field"),
        ({"subject": NUMBER, "signer": "x"}, 400, "invalid-field"),
    ],
)
def test_evidence_that_cannot_stand_is_refused(
    served: Identities, token: str, body: dict[str, Any], status: int, code: str
) -> None:
    served.refused(attach(served, token, **body), status, code, served.size())


def test_nothing_private_is_kept_of_what_was_refused(served: Identities, token: str) -> None:
    def count() -> int:
        with served.registry.parts.private.read() as connection:
            return int(connection.execute(select(func.count()).select_from(EVIDENCE)).scalar_one())

    before = count()
    attach(served, token, subject="pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert count() == before


# Status and the log of the server.


def test_status_says_how_the_registry_does(served: Identities, token: str) -> None:
    served.registry.admit(served.registry.world.citation(BOB))
    served.registry.caught_up()
    found = ask(served, token, "GET", "/api/admin/status").json()
    assert (found["size"], found["cursor"], found["lag"]) == (served.size(), served.size(), 0)
    assert found["held"] >= 1 and found["reasons"] == []
    assert {projection["error"] for projection in found["projections"]} == {""}
    watched = {known["role"] for known in found["keys"]}
    assert {"event", "receipt", "log", "moderator"} <= watched and "contributor" not in watched
    assert all(known["invalid_because"] is None for known in found["keys"])


def test_status_shows_a_key_that_has_ended(served: Identities, token: str) -> None:
    _, body = a_key(served, "ended", "moderator", not_after="2026-01-02T00:00:00Z")
    ask(served, token, "POST", "/api/admin/keys", body)
    served.registry.caught_up()
    keys = ask(served, token, "GET", "/api/admin/status").json()["keys"]
    ended = [known for known in keys if known["signer_id"] == "name:ended"]
    assert [known["not_after"] for known in ended] == ["2026-01-02T00:00:00Z"]
    assert "expired" in ended[0]["invalid_because"]


def test_the_servers_log_says_who_did_it_and_holds_no_secret(
    served: Identities, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        attach(served, token, subject=NUMBER, evidence="a private text")
        served.ask(CAROL, "POST", "/api/identity/openid", {})
    said = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert "anna attached evidence" in said
    assert token not in said and "a private text" not in said
