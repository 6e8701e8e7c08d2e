"""Letters with a code, through a real SMTP server: what they prove, and what guessing and flooding come to."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.message import Message
from email.parser import BytesParser
from email.policy import default
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from api.identity.letters import normal_address
from api.settings import ApiSettings, MailServer
from ledger.errors import InvalidFieldError
from tests.api.identity.serving import Identities, identities
from tests.builders import ALICE, BOB, Who, contributor

ASK = "/api/identity/email"
CONFIRM = "/api/identity/email/confirm"


class Letterbox:
    """Takes letters for everybody but one address."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, list[str], bytes]] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address == "nobody@example.org":
            return "550 there is nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.letters.append((envelope.mail_from, list(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 OK"

    def last(self) -> Message:
        return BytesParser(policy=default).parsebytes(self.letters[-1][2])

    def code(self) -> str:
        return re.findall(r"^ +([A-Z2-7]{4}-[A-Z2-7]{4})\r?$", self.last().get_payload(), re.MULTILINE)[0]


@pytest.fixture(scope="module")
def box() -> Letterbox:
    return Letterbox()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, box: Letterbox) -> Iterator[Identities]:
    with ExitStack() as stack:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        controller = Controller(box, hostname="127.0.0.1", port=port)
        controller.start()
        stack.callback(controller.stop)
        mail = MailServer("127.0.0.1", port, "Test Registry <registry@pith.example>")

        def settings(address: str) -> ApiSettings:
            return ApiSettings(address, mail=mail)

        yield stack.enter_context(identities(tmp_path_factory.mktemp("letters"), settings))


@pytest.fixture
def who(served: Identities, request: pytest.FixtureRequest) -> Who:
    """Somebody whose key no other test has used."""
    who = contributor(f"writer-{distinct(request)}")
    served.registry.admit(served.registry.world.registration(who))
    return who


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """An address that no other test has used."""
    return f"{distinct(request)}@example.org"


def distinct(request: pytest.FixtureRequest) -> str:
    return sha256(request.node.nodeid.encode()).hexdigest()[:16]


def asked(served: Identities, who: Who, address: str, **body: Any) -> str:
    answer = served.ask(who, "POST", ASK, {"address": address, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["identifier"])


def test_the_code_of_the_letter_proves_the_address(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    identifier = asked(served, who, address)
    answer = served.ask(who, "POST", CONFIRM, {"code": box.code()})
    assert (answer.status_code, answer.json()["identifier"]) == (201, identifier), answer.text
    assert served.proven(who) == {identifier}
    assert re.fullmatch(r"email:[0-9a-f]{64}", identifier)


def test_the_log_does_not_hold_the_address(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    event_id = served.ask(who, "POST", CONFIRM, {"code": box.code()}).json()["event_id"]
    event = served.registry.home.store.find(bytes.fromhex(event_id[7:])).event
    assert address.encode() not in event.raw
    assert served.published_text(event_id) is None
    assert address in (served.private_text(event_id) or "")


def test_with_consent_it_does(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address, consent=True)
    event_id = served.ask(who, "POST", CONFIRM, {"code": box.code()}).json()["event_id"]
    assert address in (served.published_text(event_id) or "")


def test_one_address_is_one_identifier_however_it_is_written(served: Identities, who: Who, address: str) -> None:
    assert asked(served, who, address) == asked(served, who, f" {address.upper()} ")


def test_the_letter_says_whose_key_it_is_about(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    sender, recipients, _ = box.letters[-1]
    letter = box.last()
    assert (sender, recipients) == ("registry@pith.example", [address])
    assert letter["to"] == address and letter["auto-submitted"] == "auto-generated" and letter["message-id"]
    assert who.key.key_id[:32] in letter.get_payload() and served.registry.world.name in letter.get_payload()


def test_a_code_may_be_typed_in_small_letters_and_without_its_hyphen(
    served: Identities, box: Letterbox, who: Who, address: str
) -> None:
    asked(served, who, address)
    code = box.code().lower().replace("-", " ")
    assert served.ask(who, "POST", CONFIRM, {"code": f" {code} "}).status_code == 201


def test_a_code_works_once(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    served.ask(who, "POST", CONFIRM, {"code": box.code()})
    size = served.size()
    served.refused(served.ask(who, "POST", CONFIRM, {"code": box.code()}), 403, "wrong-code", size)


def test_a_code_works_for_its_own_key_only(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    size = served.size()
    served.refused(served.ask(BOB, "POST", CONFIRM, {"code": box.code()}), 403, "wrong-code", size)
    asked(served, ALICE, "alice@example.org")
    served.refused(served.ask(who, "POST", CONFIRM, {"code": box.code()}), 403, "wrong-code", size)


def test_five_wrong_codes_end_a_letter(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    size = served.size()
    cures = []
    for _ in range(5):
        answer = served.ask(who, "POST", CONFIRM, {"code": "AAAA-AAAA"})
        served.refused(answer, 403, "wrong-code", size)
        cures.append(answer.json()["cure"])
    assert cures[0].startswith("4 more") and cures[3].startswith("1 more") and "another letter" in cures[4]
    served.refused(served.ask(who, "POST", CONFIRM, {"code": box.code()}), 403, "wrong-code", size)


def test_guessing_at_once_gains_no_further_try(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    guesses = [f"AAAA-AA{number}" for number in "ABCDEFGHIJ"]
    with ThreadPoolExecutor(10) as workers:
        answers = list(workers.map(lambda code: served.ask(who, "POST", CONFIRM, {"code": code}), guesses))
    looked_at = [answer for answer in answers if "not the code" in answer.json()["detail"]]
    assert len(looked_at) == 5


def test_four_wrong_codes_do_not(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    for _ in range(4):
        served.ask(who, "POST", CONFIRM, {"code": "AAAA-AAAA"})
    assert served.ask(who, "POST", CONFIRM, {"code": box.code()}).status_code == 201


def test_a_newer_letter_replaces_an_older(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    old = box.code()
    asked(served, who, address)
    served.refused(served.ask(who, "POST", CONFIRM, {"code": old}), 403, "wrong-code")
    assert served.ask(who, "POST", CONFIRM, {"code": box.code()}).status_code == 201


def test_a_code_ends_after_a_quarter_of_an_hour(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    asked(served, who, address)
    served.clock.by += 15 * 60 + 1
    try:
        served.refused(served.ask(who, "POST", CONFIRM, {"code": box.code()}), 403, "wrong-code", served.size())
    finally:
        served.clock.by -= 15 * 60 + 1


def test_only_so_many_letters_are_sent_for_a_key(served: Identities, box: Letterbox, who: Who, address: str) -> None:
    for number in range(3):
        asked(served, who, f"{number}-{address}")
    count = len(box.letters)
    answer = served.ask(who, "POST", ASK, {"address": f"3-{address}"})
    served.refused(answer, 429, "too-many-requests")
    assert 0 < int(answer.headers["retry-after"]) <= 3601 and len(box.letters) == count
    served.clock.by += 3601
    try:
        asked(served, who, f"3-{address}")
    finally:
        served.clock.by -= 3601


def test_only_so_many_letters_are_sent_to_an_address(served: Identities, box: Letterbox, address: str) -> None:
    people = [contributor(f"stranger-{number}") for number in range(4)]
    served.registry.admit(*map(served.registry.world.registration, people))
    for who in people[:3]:
        asked(served, who, address)
    count = len(box.letters)
    served.refused(served.ask(people[3], "POST", ASK, {"address": address.upper()}), 429, "too-many-requests")
    assert len(box.letters) == count


def test_a_key_that_names_another_address_is_refused(served: Identities, box: Letterbox, address: str) -> None:
    who = contributor("who-names-an-address", f"email:{'ab' * 32}")
    served.registry.admit(served.registry.world.registration(who))
    count = len(box.letters)
    served.refused(served.ask(who, "POST", ASK, {"address": address}), 403, "identity-mismatch")
    assert len(box.letters) == count


def test_a_letter_that_cannot_be_handed_in_is_said_so(served: Identities, who: Who) -> None:
    served.refused(served.ask(who, "POST", ASK, {"address": "nobody@example.org"}), 502, "outside-unavailable")


HOSTILE = [
    "",
    "a",
    "@example.org",
    "a@",
    "a@b@example.org",
    "a b@example.org",
    "a@example",
    "a@-example.org",
    "a@example..org",
    ".a@example.org",
    "a.@example.org",
    "a..b@example.org",
    '"a"@example.org',
    "a@[127.0.0.1]",
    "ä@example.org",
    "a@exämple.org",
    "a@example.org\r\nBcc: b@example.org",
    "a@example.org\nBcc: b@example.org",
    "a@example.org\r",
    "a@example.org\x00",
    "a@example.org, b@example.org",
    "A <a@example.org>",
    "a@example.org\u2028",
    "a" * 65 + "@example.org",
    "a@" + "b." * 130 + "org",
    "-oProxy@example.org\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_address_gets_no_letter(served: Identities, box: Letterbox, who: Who, text: str) -> None:
    count = len(box.letters)
    assert served.ask(who, "POST", ASK, {"address": text}).status_code == 400
    assert len(box.letters) == count
    with pytest.raises(InvalidFieldError):
        normal_address(text)


@pytest.mark.parametrize("text", ["a@example.org", "a.b+c@sub.example.org", "o'neil@x-y.example", "a" * 64 + "@b.cd"])
def test_what_is_an_address_is_one(text: str) -> None:
    assert normal_address(text) == text


def test_a_registry_without_a_mail_server_sends_none(tmp_path: Path) -> None:
    with identities(tmp_path, ApiSettings) as served:
        served.refused(served.ask(ALICE, "POST", ASK, {"address": "a@example.org"}), 501, "not-offered")
