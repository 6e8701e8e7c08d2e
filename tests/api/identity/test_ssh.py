"""Accounts proven by SSH keys: real `ssh-keygen` signs, a real server holds the list."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Response, get
from litestar.params import FromPath

from api.settings import ApiSettings
from tests.api.identity.serving import Identities, identities
from tests.builders import ALICE, BOB, Who, contributor
from tests.programs import program
from tests.witnesses import served as served_app

ASK = "/api/identity/ssh"


@dataclass(slots=True)
class Host:
    """A host of accounts that publishes their keys; some accounts are answered strangely."""

    lists: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def app(self) -> Litestar:
        @get("/{name:str}", sync_to_thread=False)
        def keys(name: FromPath[str]) -> Response[bytes]:
            self.asked.append(name)
            user = name.removesuffix(".keys")
            if user == "moved":
                return Response(b"", status_code=302, headers={"location": "/elsewhere.keys"})
            if user == "broken":
                return Response(b"", status_code=503)
            if user == "endless":
                return Response(b"ssh-ed25519 AAAA\n" * 40_000)
            found = self.lists.get(user)
            return Response(
                (found or "").encode(), status_code=200 if found is not None else 404, media_type="text/plain"
            )

        return Litestar([keys], openapi_config=None, logging_config=None)


@pytest.fixture(scope="module")
def host() -> Host:
    return Host()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Iterator[Identities]:
    with ExitStack() as stack:
        address = stack.enter_context(served_app(host.app()))
        lists = {
            "github": address + "/{user}.keys",
            # A name that leads to this machine, written so that nothing shows it.
            "hidden": address.replace("127.0.0.1", "127.1") + "/{user}.keys",
            "dead": "http://127.0.0.1:9/{user}",
        }

        def settings(base_url: str) -> ApiSettings:
            return ApiSettings(base_url, ssh_key_lists=lists)

        yield stack.enter_context(identities(tmp_path_factory.mktemp("ssh"), settings))


@pytest.fixture
def who(served: Identities, request: pytest.FixtureRequest) -> Who:
    """Somebody whose key no other test has used."""
    who = contributor(f"ssh-{sha256(request.node.nodeid.encode()).hexdigest()[:16]}")
    served.registry.admit(served.registry.world.registration(who))
    return who


@dataclass(frozen=True, slots=True)
class SshKey:
    path: Path

    @classmethod
    def made(cls, folder: Path, kind: str = "ed25519", *options: str) -> SshKey:
        path = folder / kind
        run(["-q", "-t", kind, *options, "-N", "", "-C", "a comment", "-f", str(path)])
        return cls(path)

    @property
    def line(self) -> str:
        return self.path.with_suffix(".pub").read_text()

    def sign(self, text: str, namespace: str) -> str:
        return run(["-q", "-Y", "sign", "-n", namespace, "-f", str(self.path)], text)


def run(arguments: list[str], given: str = "") -> str:
    command = [program("ssh-keygen", "apt install openssh-client"), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60).stdout


def sign_for(served: Identities, who: Who, key: SshKey) -> str:
    """Sign as the answer about a key says that it is to be signed."""
    known = served.client.get(f"/api/keys/{who.key.key_id}").json()
    return key.sign(known["statement_sha256"], known["ssh_namespace"])


def ask(served: Identities, who: Who, user: str, signature: str, **body: Any) -> Any:
    return served.ask(who, "POST", ASK, {"scheme": "github", "user": user, "signature": signature, **body})


@pytest.mark.parametrize(("kind", "options"), [("ed25519", ()), ("ecdsa", ("-b", "256")), ("rsa", ("-b", "2048"))])
def test_a_listed_key_proves_the_account(
    served: Identities, host: Host, who: Who, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    key = SshKey.made(tmp_path, kind, *options)
    host.lists["carberry"] = f"# keys of carberry\n\n{key.line}"
    answer = ask(served, who, "Carberry", sign_for(served, who, key))
    assert (answer.status_code, answer.json()["identifier"]) == (201, "github:carberry"), answer.text
    assert served.proven(who) == {"github:carberry"}


def test_the_evidence_holds_what_was_seen(served: Identities, host: Host, who: Who, tmp_path: Path) -> None:
    key = SshKey.made(tmp_path)
    host.lists["seen"] = f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== other\n{key.line}"
    signature = sign_for(served, who, key)
    event_id = ask(served, who, "seen", signature, consent=True).json()["event_id"]
    text = json.loads(served.published_text(event_id) or "")
    assert text["signature"] == signature
    assert text["listed_key"] == " ".join(key.line.split()[:2])
    assert text["key_list"].endswith("/seen.keys")


def test_a_key_that_is_not_listed_proves_nothing(served: Identities, host: Host, who: Who, tmp_path: Path) -> None:
    host.lists["others"] = SshKey.made(tmp_path, "ecdsa").line
    size = served.size()
    answer = ask(served, who, "others", sign_for(served, who, SshKey.made(tmp_path)))
    served.refused(answer, 422, "signature-invalid", size)
    assert "not in the list" in answer.json()["detail"]


def test_what_was_signed_for_another_key_or_registry_proves_nothing(
    served: Identities, host: Host, who: Who, tmp_path: Path
) -> None:
    key = SshKey.made(tmp_path)
    host.lists["careful"] = key.line
    size = served.size()
    known = served.client.get(f"/api/keys/{who.key.key_id}").json()
    digest, namespace = known["statement_sha256"], known["ssh_namespace"]
    for signature in (
        sign_for(served, BOB, key),
        key.sign(digest, "pith-key@other.registry"),
        key.sign(digest, "git"),
        key.sign(digest + "\n", namespace),
        key.sign(digest.upper(), namespace),
    ):
        served.refused(ask(served, who, "careful", signature), 422, "signature-invalid", size)


def test_a_short_rsa_key_proves_nothing(served: Identities, host: Host, who: Who, tmp_path: Path) -> None:
    key = SshKey.made(tmp_path, "rsa", "-b", "1024")
    host.lists["short"] = key.line
    size = served.size()
    served.refused(ask(served, who, "short", sign_for(served, who, key)), 422, "weak-key", size)


def test_a_key_that_names_another_account_is_refused(served: Identities, host: Host, tmp_path: Path) -> None:
    who, key = contributor("who-names-an-account", "github:somebody"), SshKey.made(tmp_path)
    served.registry.admit(served.registry.world.registration(who))
    host.lists["anybody"] = host.lists["somebody"] = key.line
    size = served.size()
    served.refused(ask(served, who, "anybody", sign_for(served, who, key)), 403, "identity-mismatch", size)
    assert ask(served, who, "somebody", sign_for(served, who, key)).status_code == 201


@pytest.mark.parametrize(
    ("user", "status", "code"),
    [
        ("nobody", 400, "invalid-field"),
        ("moved", 502, "outside-unavailable"),
        ("broken", 502, "outside-unavailable"),
        ("endless", 502, "outside-unavailable"),
    ],
)
def test_a_list_that_cannot_be_had_proves_nothing(
    served: Identities, host: Host, who: Who, tmp_path: Path, user: str, status: int, code: str
) -> None:
    signature = sign_for(served, who, SshKey.made(tmp_path))
    served.refused(ask(served, who, user, signature), status, code, served.size())
    assert "elsewhere.keys" not in host.asked


@pytest.mark.parametrize(
    "user",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "a@evil.example",
        "-a",
        "a-",
        "a..b",
        "{user}",
        "a\nb",
        "é",
        "x" * 99,
    ],
)
def test_a_name_that_no_account_has_is_not_asked_for(
    served: Identities, host: Host, who: Who, tmp_path: Path, user: str
) -> None:
    signature = sign_for(served, who, SshKey.made(tmp_path))
    count = len(host.asked)
    served.refused(ask(served, who, user, signature), 400, "invalid-field", served.size())
    assert len(host.asked) == count


def test_nothing_is_asked_before_the_signature_holds(served: Identities, host: Host, who: Who) -> None:
    count = len(host.asked)
    served.refused(ask(served, who, "carberry", "no signature"), 400, "invalid-field")
    assert len(host.asked) == count


def test_a_name_that_leads_to_a_private_address_is_not_asked(
    served: Identities, host: Host, who: Who, tmp_path: Path
) -> None:
    key = SshKey.made(tmp_path)
    host.lists["inside"] = key.line
    count = len(host.asked)
    answer = ask(served, who, "inside", sign_for(served, who, key), scheme="hidden")
    served.refused(answer, 502, "outside-unavailable", served.size())
    assert "private" in answer.json()["detail"] and len(host.asked) == count


@pytest.mark.parametrize(("scheme", "status"), [("gitlab", 501), ("orcid", 501), ("", 501), ("dead", 502)])
def test_only_lists_that_the_operator_named_are_asked(
    served: Identities, who: Who, tmp_path: Path, scheme: str, status: int
) -> None:
    signature = sign_for(served, who, SshKey.made(tmp_path))
    assert ask(served, who, "carberry", signature, scheme=scheme).status_code == status


def test_alice_by_her_account_is_still_not_proven_by_her_iD(served: Identities, host: Host, tmp_path: Path) -> None:
    """Each identifier is proven for itself: an account is no iD."""
    key = SshKey.made(tmp_path)
    host.lists["alice"] = key.line
    assert ask(served, ALICE, "alice", sign_for(served, ALICE, key)).status_code == 201
    assert ALICE.signer_id not in served.proven(ALICE)
