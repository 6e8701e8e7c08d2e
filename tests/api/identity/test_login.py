"""Logins at a real OpenID Connect provider: what they prove for a key, and each way in which they prove nothing."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from api.identity.openid import CALLBACK_PATH
from api.settings import ApiSettings
from projections import queries
from tests.api.identity.programs import a_provider
from tests.api.identity.serving import FLOW, Browser, Identities, begin, came_back, event_of, identities, sent_on
from tests.builders import ALICE, BOB, CAROL, MALLORY, NUMBER, Who, a_record, key

OWN = ALICE.signer_id.removeprefix("orcid:")
OTHER = "0000-0001-5109-3700"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    with ExitStack() as stack:

        def settings(address: str) -> ApiSettings:
            return ApiSettings(address, openid=stack.enter_context(a_provider(address + CALLBACK_PATH)))

        yield stack.enter_context(identities(tmp_path_factory.mktemp("login"), settings))


def changed(address: str, **changes: str) -> str:
    """Return an address with other values in its query."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()} | changes
    return f"{address.partition('?')[0]}?{urlencode(query)}"


def registered(served: Identities, name: str, signer_id: str = "") -> Who:
    """Return somebody whose key the log knows since just now."""
    who = Who(CAROL.key if name == "carol" else MALLORY.key, "contributor", signer_id or f"name:{name}")
    served.registry.admit(served.registry.world.registration(who))
    return who


# What a login proves.


def test_a_login_makes_what_was_held_count_and_the_claim_strong(tmp_path: Path) -> None:
    with ExitStack() as stack, Browser() as browser:

        def settings(address: str) -> ApiSettings:
            return ApiSettings(address, openid=stack.enter_context(a_provider(address + CALLBACK_PATH)))

        served = stack.enter_context(identities(tmp_path, settings))
        registry, world = served.registry, served.registry.world
        record, paper = a_record(title="A paper with an iD", ident="2606.00077")
        authors = [{"name": "A. Author", "orcid": OWN}, {"name": "B. Author"}]
        created = world.record_created(record, {**paper, "authors": authors})
        claim = world.event(ALICE, "author_attestation", world.author().value["payload"], subject=created.subject)
        registry.admit(created, claim)
        registry.caught_up()
        before = claims_of(served, created.subject)
        page = browser.get(came_back(served, browser, ALICE, OWN))
        assert page.status_code == 200, page.text
        registry.caught_up()
        assert (before, claims_of(served, created.subject)) == ((0, 0), (0, 1))
        assert served.proven(ALICE) == {ALICE.signer_id}


def claims_of(served: Identities, subject: str) -> tuple[int, int]:
    document = queries.record(served.registry.parts.projections, subject, 0)
    status = json.loads(bytes(document["verification_status"]))
    return status["weak_author_claims"], status["strong_author_claims"]


def test_a_key_that_names_no_iD_gets_the_one_that_logged_in(served: Identities, browser: Browser) -> None:
    page = browser.get(came_back(served, browser, BOB, OTHER))
    assert page.status_code == 200
    assert served.proven(BOB) == {f"orcid:{OTHER}"}
    assert f"orcid:{OTHER}" in page.text and BOB.key.key_id[:4] in page.text


def test_the_evidence_can_be_checked_by_anybody_who_is_shown_it(served: Identities, browser: Browser) -> None:
    who = registered(served, "carol")
    page = browser.get(came_back(served, browser, who, OTHER, consent=True))
    event_id = event_of(page.text)
    text = json.loads(served.published_text(event_id) or "")
    assert served.private_text(event_id) is None
    token = jwt.decode(text["id_token"], KeySet.import_key_set(text["jwks"]), algorithms=["RS256"])
    known = served.client.get(f"/api/keys/{who.key.key_id}").json()
    nonce = base64.urlsafe_b64encode(bytes.fromhex(known["statement_sha256"])).decode().rstrip("=")
    assert (token.claims["nonce"], token.claims["sub"]) == (nonce, OTHER)


def test_without_consent_the_log_holds_a_commitment_and_nothing_else(served: Identities, browser: Browser) -> None:
    page = browser.get(came_back(served, browser, ALICE, OWN))
    event_id = event_of(page.text)
    assert served.published_text(event_id) is None
    assert "id_token" in json.loads(served.private_text(event_id) or "")
    assert b"id_token" not in served.registry.home.store.find(bytes.fromhex(event_id[7:])).event.raw


def test_what_is_proven_already_is_not_appended_again(served: Identities, browser: Browser) -> None:
    first = browser.get(came_back(served, browser, ALICE, OWN))
    served.registry.caught_up()
    size = served.size()
    again = browser.get(came_back(served, browser, ALICE, OWN))
    assert (event_of(again.text), served.size()) == (event_of(first.text), size)


# The page that stands before a login.


def test_the_page_shows_the_key_and_lets_nobody_frame_it(served: Identities, browser: Browser) -> None:
    page = browser.get(begin(served, ALICE))
    digits = ALICE.key.key_id[:32]
    assert " ".join(digits[at : at + 4] for at in range(0, 32, 4)) in page.text
    assert ALICE.signer_id in page.text and served.registry.world.name in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(served: Identities, browser: Browser) -> None:
    cookie = browser.get(begin(served, ALICE)).headers["set-cookie"]
    assert cookie.startswith("pith-login=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none", "origin": "https://evil.example"},
        {"sec-fetch-site": "", "origin": "null"},
    ],
)
def test_another_sites_form_does_not_go_on(served: Identities, browser: Browser, headers: dict[str, str]) -> None:
    flow = begin(served, ALICE)
    browser.get(flow)
    if headers["sec-fetch-site"] in ("", "none"):
        sent = {name: value for name, value in headers.items() if value and name != "sec-fetch-site"}
        answer = browser.client.post(f"{flow}/continue", headers=sent)
    else:
        answer = browser.press(f"{flow}/continue", **headers)
    served.refused(answer, 403, "forbidden")


def test_the_first_browser_owns_a_login(served: Identities, browser: Browser) -> None:
    flow = begin(served, ALICE)
    browser.get(flow)
    assert browser.get(flow).status_code == 200
    with Browser() as other:
        served.refused(other.get(flow), 403, "other-browser")
        served.refused(other.press(f"{flow}/continue"), 403, "other-browser")


def test_the_button_does_nothing_for_who_has_not_seen_the_page(served: Identities, browser: Browser) -> None:
    served.refused(browser.press(f"{begin(served, ALICE)}/continue"), 403, "other-browser")


@pytest.mark.parametrize("token", ["x", "A" * 43, "%00", "é", "A" * 5000])
def test_an_address_that_nobody_was_given_leads_nowhere(served: Identities, browser: Browser, token: str) -> None:
    answer = browser.get(f"{served.registry.address}{FLOW}/flow/{token}")
    assert answer.status_code in (400, 404, 410, 414)


# What proves nothing.


def test_another_persons_login_does_not_prove_a_key_that_names_somebody(served: Identities, browser: Browser) -> None:
    who = registered(served, "mallory", "orcid:0000-0003-1415-9269")
    address, size = came_back(served, browser, who, OTHER), served.size()
    served.refused(browser.get(address), 403, "identity-mismatch", size)
    assert served.proven(who) == set()


def test_a_callback_works_once(served: Identities, browser: Browser) -> None:
    address = came_back(served, browser, ALICE, OWN)
    assert browser.get(address).status_code == 200
    size = served.size()
    served.refused(browser.get(address), 410, "login-over", size)


def test_of_two_equal_callbacks_at_once_one_is_taken(served: Identities, browser: Browser) -> None:
    address = came_back(served, browser, ALICE, OWN)
    with ThreadPoolExecutor(4) as workers:
        answers = list(workers.map(browser.get, [address] * 4))
    assert sorted(answer.status_code for answer in answers) == [200, 410, 410, 410]


def test_another_browser_cannot_finish_a_login(served: Identities, browser: Browser) -> None:
    address, size = came_back(served, browser, ALICE, OWN), served.size()
    with Browser() as other:
        served.refused(other.get(address), 403, "other-browser", size)
    assert browser.get(address).status_code == 200, "its own browser still can"


def test_a_login_that_took_too_long_is_over(served: Identities, browser: Browser) -> None:
    address, size = came_back(served, browser, ALICE, OWN), served.size()
    served.clock.by += 601
    try:
        served.refused(browser.get(address), 410, "login-over", size)
    finally:
        served.clock.by -= 601


def test_a_code_that_was_used_is_refused(served: Identities, browser: Browser) -> None:
    first = came_back(served, browser, ALICE, OWN)
    browser.get(first)
    code = parse_qs(urlsplit(first).query)["code"][0]
    second, size = came_back(served, browser, ALICE, OWN), served.size()
    served.refused(browser.get(changed(second, code=code)), 403, "login-code-refused", size)


def test_a_code_that_was_asked_for_under_another_challenge_is_refused(served: Identities, browser: Browser) -> None:
    address = changed(sent_on(browser, begin(served, ALICE)), code_challenge="A" * 43)
    size = served.size()
    served.refused(browser.get(browser.at_provider(address, OWN)), 403, "login-code-refused", size)


def test_a_token_for_another_nonce_is_refused(served: Identities, browser: Browser) -> None:
    address = changed(sent_on(browser, begin(served, ALICE)), nonce="B" * 43)
    size = served.size()
    answer = browser.get(browser.at_provider(address, OWN))
    served.refused(answer, 403, "id-token-invalid", size)
    assert answer.json()["place"] == "id_token.nonce"


def test_a_login_for_one_key_does_not_prove_another(served: Identities, browser: Browser) -> None:
    """The statement of the key is in the provider's own signature: it cannot be carried over."""
    with Browser() as other:
        wanted = sent_on(other, begin(served, BOB))
        nonce = parse_qs(urlsplit(wanted).query)["nonce"][0]
        address = changed(sent_on(browser, begin(served, ALICE)), nonce=nonce)
        size = served.size()
        served.refused(browser.get(browser.at_provider(address, OWN)), 403, "id-token-invalid", size)


@pytest.mark.parametrize("iss", ["http://127.0.0.1:1", "https://evil.example", ""])
def test_an_answer_by_another_provider_is_refused(served: Identities, browser: Browser, iss: str) -> None:
    address, size = came_back(served, browser, ALICE, OWN), served.size()
    served.refused(browser.get(changed(address, iss=iss)), 403, "login-declined", size)


def test_an_answer_that_names_no_provider_is_refused_where_it_would(served: Identities, browser: Browser) -> None:
    address, size = came_back(served, browser, ALICE, OWN), served.size()
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items() if name != "iss"}
    answer = browser.get(f"{address.partition('?')[0]}?{urlencode(query)}")
    served.refused(answer, 403, "login-declined", size)


def test_who_declines_at_the_provider_is_told_so(served: Identities, browser: Browser) -> None:
    sent = sent_on(browser, begin(served, ALICE))
    page = browser.client.get(sent, follow_redirects=True)
    abort = re.findall(r'href="([^"]+/abort)"', page.text)[0]
    answer = browser.client.get(httpx.URL(str(page.url)).join(abort))
    while answer.next_request and "/api/" not in str(answer.next_request.url):
        answer = browser.client.get(answer.next_request.url)
    assert answer.next_request is not None
    size = served.size()
    refusal = browser.get(str(answer.next_request.url))
    served.refused(refusal, 403, "login-declined", size)
    assert "access_denied" in refusal.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=x",
        "state=x",
        "state=x&code=y&error=z",
        "state=x&state=y&code=z",
        "state=x&code=y&code=z",
        f"state={'x' * 5000}&code=y",
    ],
)
def test_a_callback_that_is_no_providers_answer_is_refused(served: Identities, query: str) -> None:
    served.refused(served.client.get(f"{CALLBACK_PATH}?{query}"), 400, "invalid-field")


@pytest.mark.parametrize("state", ["x", "A" * 43, "%00", "%ff", "%F0%9F%93%9C"])
def test_a_state_that_nobody_was_given_is_refused(served: Identities, state: str) -> None:
    served.refused(served.client.get(f"{CALLBACK_PATH}?state={state}&code=y"), 410, "login-over", served.size())


def test_a_key_that_was_revoked_meanwhile_gets_nothing(served: Identities, browser: Browser) -> None:
    lost = Who(key("lost"), "contributor", "name:lost")
    served.registry.admit(served.registry.world.registration(lost))
    address = came_back(served, browser, lost, OTHER)
    served.registry.admit(served.registry.world.revocation(lost))
    served.registry.caught_up()
    size = served.size()
    served.refused(browser.get(address), 422, "key-revoked", size)


# Sessions, for people without a key.


def logged_in(served: Identities, browser: Browser, account: str, path: str = "/api/session/openid") -> httpx.Response:
    answer = browser.get(served.registry.address + path)
    assert answer.status_code == 303, answer.text
    return browser.get(browser.at_provider(answer.headers["location"], account))


def test_a_session_has_one_pseudonym_and_tells_nobody_whose(served: Identities, browser: Browser) -> None:
    shown = []
    for _ in range(2):
        assert logged_in(served, browser, OWN).status_code == 303
        shown.append(browser.get(f"{served.registry.address}/api/session").json())
    with Browser() as other:
        logged_in(served, other, OTHER)
        else_shown = other.get(f"{served.registry.address}/api/session").json()
    assert shown[0]["kind"] == "session"
    assert shown[0]["subject"] == shown[1]["subject"] != else_shown["subject"]
    assert OWN not in json.dumps(shown)


def test_a_session_ends_when_asked_to(served: Identities, browser: Browser) -> None:
    logged_in(served, browser, OWN)
    kept = browser.client.cookies["pith-session"]
    assert browser.press(f"{served.registry.address}/api/session/logout").status_code == 204
    assert "pith-session" not in browser.client.cookies
    answer = served.client.get("/api/session", headers={"cookie": f"pith-session={kept}"})
    assert answer.json()["kind"] == "none"


def test_a_session_ends_by_itself(served: Identities, browser: Browser) -> None:
    logged_in(served, browser, OWN)
    served.clock.by += 12 * 3600 + 1
    try:
        assert browser.get(f"{served.registry.address}/api/session").json()["kind"] == "none"
    finally:
        served.clock.by -= 12 * 3600 + 1


def test_another_site_cannot_log_anybody_out(served: Identities, browser: Browser) -> None:
    logged_in(served, browser, OWN)
    answer = browser.press(f"{served.registry.address}/api/session/logout", **{"sec-fetch-site": "cross-site"})
    served.refused(answer, 403, "forbidden")
    assert browser.get(f"{served.registry.address}/api/session").json()["kind"] == "session"


def test_a_login_comes_back_to_the_page_it_began_on(served: Identities, browser: Browser) -> None:
    path = f"/paper/{NUMBER[10:18]}"
    answer = logged_in(served, browser, OWN, f"/api/session/openid?return_to={path}")
    assert answer.headers["location"] == served.registry.address + path


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "/%2f/evil.example",
        "/a?b",
        "/a#b",
        "/a\r\nset-cookie: x=y",
        "@evil.example",
        ".evil.example",
        "",
        "/" + "a" * 300,
    ],
)
def test_a_login_leads_nowhere_else(served: Identities, path: str) -> None:
    answer = served.client.get("/api/session/openid", params={"return_to": path})
    served.refused(answer, 400, "invalid-field")


def test_a_login_that_one_browser_began_gives_no_session_to_another(served: Identities, browser: Browser) -> None:
    """Otherwise an attacker could have a victim act in the attacker's session."""
    answer = browser.get(f"{served.registry.address}/api/session/openid")
    address = browser.at_provider(answer.headers["location"], OTHER)
    with Browser() as victim:
        served.refused(victim.get(address), 403, "other-browser")
        assert victim.get(f"{served.registry.address}/api/session").json()["kind"] == "none"


def test_a_session_does_not_prove_a_key(served: Identities, browser: Browser) -> None:
    size = served.size()
    logged_in(served, browser, OWN)
    assert served.size() == size
