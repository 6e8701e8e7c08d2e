"""Copies on the web that a checker looks at, again and again, while they change under its eyes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import UNSET

from ledger.appending import Submission
from ledger.chunks import CHUNK_BYTES
from ledger.events import Entry
from ledger.possession import Deposit, answer
from ledger.registry import DEFAULT_POLICY
from ledger.signing import Signatory
from ops.checkpointing import checkpoint
from ops.jobs.resting import SECOND
from ops.jobs.running import run
from ops.services import YEAR_SECONDS, Services, Storing, WebArchive
from ops.storage.checker import SOFTWARE
from ops.storage.checking import AT_ONCE
from ops.storage.deciding import JITTER_PART
from ops.storage.rows import FAR
from tests.api.liars import Asked, Liar, Reply, Script, scripted
from tests.holders import HOLDER, Held, a_file
from tests.ops.storage.storehouses import (
    CHECKER_ID,
    DAY,
    HOUR,
    SITE,
    Storehouse,
    a_checker,
    reopened,
    services,
    storehouse,
)
from tests.ops.storage.strangers import Send, Stranger, reply, stranger

CONTENT = b"%PDF the paper as it was deposited"
RIGHT = sha256(CONTENT).hexdigest()
OTHER = b"%PDF something else altogether"


class Site:
    """A site whose pages a test changes; None is a page that is gone, an int another status."""

    def __init__(self) -> None:
        self.page: bytes | int | None = CONTENT

    def __call__(self, target: str, send: Send) -> None:
        match self.page:
            case None:
                send(reply(b"gone", 404))
            case int(status):
                send(reply(b"no", status))
            case content:
                send(reply(content, 200, "content-type: application/pdf"))


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def server(site: Site) -> Iterator[Stranger]:
    with stranger(site) as found:
        yield found


@pytest.fixture
def house(tmp_path: Path, server: Stranger) -> Iterator[Storehouse]:
    with storehouse(tmp_path, services(server)) as found:
        yield found


def test_a_claim_is_fetched_and_then_the_record_is_stored(house: Storehouse, server: Stranger) -> None:
    house.claim("https", server.at(SITE, "/p.pdf"), RIGHT)
    assert not house.is_verified
    assert house.run("check").said == "1 stored"
    assert house.is_verified and house.said() == [("claimed", "stored"), ("fetched", "stored")]
    payload = house.attestations()[-1].event.payload
    assert payload.content.sha256 == RIGHT and payload.content.bytes == len(CONTENT)
    assert payload.content.media_type == "application/pdf"
    assert payload.content.swhid and payload.content.cid and payload.content.chunk_root
    assert payload.check.software == SOFTWARE and payload.check.http_status == 200
    assert payload.check.final_url == server.at(SITE, "/p.pdf") and payload.check.evidence_sha256
    assert payload.check.started_at <= payload.check.ended_at
    assert house.attestations()[-1].event.signer.signer_id == CHECKER_ID


def test_a_second_run_says_nothing_new(house: Storehouse, server: Stranger) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    house.run("check")
    for hours in (1, 24, 24):
        house.later(hours * HOUR)
        house.run("check")
    assert len(house.said("fetched")) == 1 and len(server.asked) == 1


def test_what_was_found_is_said_again_after_the_whole_rest(house: Storehouse, server: Stranger) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    house.run("check")
    house.later(34 * DAY)
    house.run("check")
    assert house.said("fetched") == [("fetched", "stored")] * 2


def test_a_copy_that_is_gone_is_missing_after_a_second_look(house: Storehouse, site: Site, server: Stranger) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    house.run("check")
    site.page = None
    house.later(34 * DAY)
    house.run("check")
    assert house.is_verified and house.said("fetched") == [("fetched", "stored")]
    house.later(30 * 60)
    house.run("check")
    assert house.is_verified
    house.later(HOUR)
    assert house.run("check").said == "1 missing"
    assert not house.is_verified
    payload = house.attestations()[-1].event.payload
    assert (payload.outcome, payload.grade, payload.check.http_status) == ("missing", "fetched", 404)
    site.page = CONTENT
    house.later(7 * HOUR)
    house.run("check")
    assert house.is_verified


def test_other_bytes_are_a_change_after_a_second_look(house: Storehouse, site: Site, server: Stranger) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    house.run("check")
    site.page = OTHER
    house.later(34 * DAY)
    house.run("check")
    assert house.is_verified
    house.later(2 * HOUR)
    assert house.run("check").said == "1 changed"
    assert not house.is_verified
    assert house.attestations()[-1].event.payload.content.sha256 == sha256(OTHER).hexdigest()
    house.later(7 * HOUR)
    house.run("check")
    assert len(house.said("fetched")) == 2, "the same change is told once"
    site.page = CONTENT
    house.later(7 * HOUR)
    house.run("check")
    assert house.is_verified


def test_a_page_that_differs_each_time_is_never_called_changed(house: Storehouse, site: Site, server: Stranger) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    for number in range(5):
        site.page = b"an error page of a server in trouble: %d" % number
        house.run("check")
        house.later(7 * HOUR)
    assert house.said("fetched") == [] and len(server.asked) == 5


def test_an_error_page_with_status_200_is_not_the_copy(house: Storehouse, site: Site, server: Stranger) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    site.page = b"<html>This page is temporarily unavailable"
    house.run("check")
    assert house.said("fetched") == [] and not house.is_verified


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_what_cannot_be_reached_is_no_loss_and_asked_ever_less(
    house: Storehouse, site: Site, server: Stranger, status: int
) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    house.run("check")
    site.page = status
    house.later(34 * DAY)
    before = len(server.asked)
    for _ in range(7 * 24 * 6):
        house.run("check")
        house.later(600)
    assert house.is_verified and house.said("fetched") == [("fetched", "stored")]
    assert 10 < len(server.asked) - before < 60
    (row,) = house.copies()
    assert str(status) in row.said
    owing = house.job("check").owing(house.work)[-1]
    assert (owing.waiting, owing.url, owing.subject, owing.try_at) == (row.said, row.url, house.subject, row.next_at)
    site.page = CONTENT
    house.later(DAY)
    house.run("check")
    assert house.said("fetched") == [("fetched", "stored")] * 2


def test_the_first_thing_a_checker_found_is_what_later_looks_compare_with(house: Storehouse, server: Stranger) -> None:
    url = server.at(SITE)
    house.claim("https", url, RIGHT)
    house.run("check")
    house.claim("https", url, sha256(OTHER).hexdigest())
    house.later(34 * DAY)
    house.run("check")
    assert house.said("fetched") == [("fetched", "stored")] * 2


def test_a_strangers_claim_waits_until_it_is_accepted(house: Storehouse, server: Stranger) -> None:
    somebody, moderator = house.person("somebody", "contributor"), house.person("moderator", "moderator")
    claim, _ = somebody.sign(
        "storage_attestation",
        house.subject,
        {
            "location": {"kind": "https", "url": server.at(SITE)},
            "captured_at": somebody.now(),
            "grade": "claimed",
            "outcome": "stored",
            "content": {"sha256": RIGHT, "bytes": len(CONTENT), "media_type": "application/pdf"},
        },
    )
    house.home.append([Submission(claim)])
    house.run("check")
    (row,) = house.copies()
    assert server.asked == [] and "moderator" in row.said
    accepted, _ = moderator.sign("moderation_decision", house.subject, {"decision": "accepted"}, target=claim.id_text)
    house.home.append([Submission(accepted)])
    house.run("check")
    assert len(server.asked) == 1 and house.is_verified


def test_without_a_key_everything_waits_and_says_how_to_make_one(tmp_path: Path, server: Stranger) -> None:
    with storehouse(tmp_path, services(server), has_checker=False) as house:
        house.claim("https", server.at(SITE), RIGHT)
        assert house.run("check").outcome == "done"
        (owing,) = house.job("check").owing(house.work)
        assert owing.number == 1 and "pith keygen" in owing.waiting and "checker.json" in owing.waiting
        held = a_checker(house.home, is_registered=False)
        house.run("check")
        assert "not registered" in house.job("check").owing(house.work)[0].waiting and server.asked == []
        statement = Signatory(held, house.clock, house.home.random).statement()
        event, _ = house.home.signatory("event").sign("key_registered", "registry", statement)
        house.home.append([Submission(event)])
        house.run("check")
        assert house.is_verified


def test_a_checker_that_policy_does_not_believe_says_nothing(house: Storehouse, server: Stranger) -> None:
    house.claim("https", server.at(SITE), RIGHT)
    signatory = house.home.signatory("event")
    policy, _ = signatory.sign("policy_set", "registry", {**DEFAULT_POLICY, "checkers": ["0" * 64]})
    house.home.append([Submission(policy)])
    house.run("check")
    assert server.asked == [] and house.said("fetched") == []
    assert "policy" in house.job("check").owing(house.work)[0].waiting


@pytest.mark.parametrize(
    ("kind", "url", "why"),
    [
        ("warc", "file:///papers.warc.gz", "no kind of place"),
        ("https", "https://elsewhere.example/p.pdf", "nothing is fetched from elsewhere.example"),
        ("https", "http://169.254.169.254/latest/meta-data", "nothing is fetched from 169.254.169.254"),
        ("wayback", "https://web.archive.org/web/2026/https://example.org/", "one second"),
        (
            "wayback",
            "https://web.archive.org/web/20260827142259/https://example.org/",
            "no web archive of this registry",
        ),
        ("wayback", "https://web.archive.org/web/09990101000000/https://example.org/", "one second"),
        ("s3", "s3://somebodys/copy", "no bucket of this registry"),
        ("swh", "swh:1:dir:" + "0" * 40, "SWHID"),
        ("ipfs", "ipfs://nonsense", "CID"),
        ("holder", f"https://holder.example/possession#ed25519:{HOLDER.public_key.hex()}", "no checkpoint"),
    ],
)
def test_a_place_that_cannot_be_looked_at_waits_with_the_reason(
    house: Storehouse, kind: str, url: str, why: str
) -> None:
    house.claim(kind, url, RIGHT)
    house.run("check")
    (row,) = house.copies()
    assert why in row.said and row.said.isprintable() and house.said("fetched", "proved") == []


def test_two_workers_at_once_say_it_once(house: Storehouse, server: Stranger) -> None:
    for number in range(5):
        house.claim("https", server.at(SITE, f"/{number}"), RIGHT)
    jobs = [house.job("check") for _ in range(4)]
    threads = [threading.Thread(target=run, args=(job, house.work)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.run("check")
    assert house.said("fetched") == [("fetched", "stored")] * 5


def test_lost_rows_are_found_again_and_nothing_is_said_twice(tmp_path: Path, site: Site, server: Stranger) -> None:
    with storehouse(tmp_path, services(server)) as house:
        house.claim("https", server.at(SITE), RIGHT)
        house.run("check")
        asked = len(server.asked)
        house.work.database.close()
        for suffix in ("", "-wal", "-shm"):
            path = house.home.settings.jobs_path
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        with reopened(house) as again:
            again.run("check")
            assert len(server.asked) == asked and again.said("fetched") == [("fetched", "stored")]
            again.later(34 * DAY)
            site.page = None
            again.run("check")
            again.later(2 * HOUR)
            again.run("check")
            assert again.said("fetched")[-1] == ("fetched", "missing")


def test_a_host_that_is_silent_is_asked_once_in_a_run(tmp_path: Path) -> None:
    with stranger(lambda _, __: None) as server, storehouse(tmp_path, services(server)) as house:
        for number in range(6):
            house.claim("https", server.at(SITE, f"/{number}"), RIGHT)
        house.run("check")
        assert len(server.asked) == 1
        assert all(row.tries == 1 for row in house.copies()) and house.said("fetched") == []


def test_a_holder_proves_that_it_has_the_bytes_and_is_found_out_when_it_has_not(tmp_path: Path) -> None:
    paper = Held(a_file(300_000))
    answers: list[bytes] = []

    def holder(asked: Asked) -> Reply:
        answers.append(paper.answer(bytes.fromhex(json.loads(asked.body)["checkpoint_root"])))
        return Reply(answers[0] if is_replaying else answers[-1])

    is_replaying = False
    with scripted(holder) as server:
        host = server.address.partition("://")[2]
        with storehouse(tmp_path, services(hosts=[host])) as house:
            url = f"{server.address}/possession#ed25519:{HOLDER.public_key.hex()}"
            deposit = paper.deposit
            house.claim("holder", url, deposit.sha256.hex(), bytes=deposit.length, chunk_root=deposit.chunk_root.hex())
            checkpoint(house.home)
            assert house.run("check").said == "1 stored"
            assert house.is_verified and house.said("proved") == [("proved", "stored")]
            payload = house.attestations()[-1].event.payload
            assert payload.possession.holder_key == HOLDER.public_key.hex() and payload.check.evidence_sha256

            is_replaying = True
            house.later(34 * DAY)
            checkpoint(house.home)
            house.run("check")
            assert house.is_verified
            house.later(2 * HOUR)
            assert house.run("check").said == "1 missing"
            assert not house.is_verified

            is_replaying = False
            house.later(7 * HOUR)
            house.run("check")
            assert house.is_verified


def test_what_is_no_answer_of_a_holder_is_no_loss(tmp_path: Path) -> None:
    paper = Held(a_file(1_000)).deposit
    with scripted(lambda _: Reply(b"<html>Welcome</html>")) as server:
        host = server.address.partition("://")[2]
        with storehouse(tmp_path, services(hosts=[host])) as house:
            url = f"{server.address}/possession#ed25519:{HOLDER.public_key.hex()}"
            house.claim("holder", url, paper.sha256.hex(), bytes=1_000, chunk_root=paper.chunk_root.hex())
            checkpoint(house.home)
            for _ in range(4):
                house.run("check")
                house.later(7 * HOUR)
            assert len(house.said()) == 1 and "answer" in house.copies()[0].said


# --- what strangers may claim and send -----------------------------------------------------------


def claimed_for_somebody(house: Storehouse, *urls: str) -> list[Entry]:
    """Let the registry take forms of people without a key, which wait for a moderator."""
    signatory = house.home.signatory("event")
    submissions = []
    for url in urls:
        stated = {
            "location": {"kind": "https", "url": url},
            "captured_at": signatory.now(),
            "grade": "claimed",
            "outcome": "stored",
            "content": {"sha256": RIGHT, "bytes": 1, "media_type": "application/pdf"},
        }
        nobody = {"kind": "anonymous", "subject": "a" * 64}
        event, texts = signatory.sign("storage_attestation", house.subject, stated, on_behalf_of=nobody)
        submissions.append(Submission(event, texts))
    return [appended.entry for appended in house.home.append(submissions)]


def test_one_answer_that_nobody_can_read_keeps_no_other_copy_waiting(tmp_path: Path) -> None:
    def script(target: str, send: Send) -> None:
        send(reply(b"", 302, "location: http://xn--a/") if target == "/bad" else reply(CONTENT))

    with stranger(script) as server, storehouse(tmp_path, services(server)) as house:
        for path in ("/bad", "/good"):
            house.claim("https", server.at(SITE, path), RIGHT)
        assert house.run("check").said == "1 stored"
        bad, good = house.copies()
        assert (bad.tries, good.tries) == (1, 0) and bad.said and bad.next_at > house.clock()
        house.later(DAY)
        house.run("check")
        assert house.copies()[0].tries == 2 and server.asked.count("/good") == 1


def test_claims_that_wait_for_a_moderator_keep_no_other_copy_waiting(house: Storehouse, server: Stranger) -> None:
    held = claimed_for_somebody(house, *(server.at(SITE, f"/held-{number}") for number in range(AT_ONCE + 10)))
    house.claim("https", server.at(SITE, "/real"), RIGHT)
    job = house.job("check")
    assert house.run(job).said == "1 stored" and server.asked == ["/real"]
    waiting = house.copies()[:-1]
    assert all("moderator" in row.said for row in waiting)
    assert all(not owing.try_at for owing in job.owing(house.work) if "moderator" in owing.waiting)
    house.run(job)
    house.later(20 * DAY)
    assert house.run(job).outcome is None, "nothing is due of what only a decision can change"

    moderator = house.person("moderator", "moderator")
    target = held[3].event.id_text
    accepted, _ = moderator.sign("moderation_decision", house.subject, {"decision": "accepted"}, target=target)
    house.home.append([Submission(accepted)])
    assert house.run(job).said == "1 stored" and server.asked == ["/real", "/held-3"]

    house.claim("https", server.at(SITE, "/held-5"), RIGHT)
    assert house.run(job).said == "1 stored" and server.asked[-1] == "/held-5"


def test_a_long_rest_is_kept(tmp_path: Path, server: Stranger) -> None:
    with storehouse(tmp_path, services(server, recheck_seconds=9 * 365 * DAY)) as house:
        house.claim("https", server.at(SITE), RIGHT)
        for _ in range(5):
            house.run("check")
            house.later(DAY)
        assert len(server.asked) == 1
    longest = 10 * YEAR_SECONDS * SECOND  # see `ops.services_file`
    assert longest + longest // JITTER_PART < FAR


def test_what_was_asked_for_behind_a_redirect_is_not_published(tmp_path: Path) -> None:
    def script(target: str, send: Send) -> None:
        send(reply(CONTENT) if "signature" in target else reply(b"", 302, "location: /store/p.pdf?signature=secret"))

    with stranger(script) as server, storehouse(tmp_path, services(server)) as house:
        house.claim("https", server.at(SITE, "/p.pdf?v=2"), RIGHT)
        assert house.run("check").said == "1 stored"
        assert house.attestations()[-1].event.payload.check.final_url == server.at(SITE, "/store/p.pdf")


def test_an_address_keeps_its_own_query(house: Storehouse, server: Stranger) -> None:
    house.claim("https", server.at(SITE, "/p.pdf?v=2"), RIGHT)
    house.run("check")
    assert house.attestations()[-1].event.payload.check.final_url == server.at(SITE, "/p.pdf?v=2")


def test_a_body_that_may_be_cut_off_is_never_a_change(tmp_path: Path) -> None:
    shown = [CONTENT]

    def script(_: str, send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + shown[0])

    with stranger(script) as server, storehouse(tmp_path, services(server)) as house:
        house.claim("https", server.at(SITE), RIGHT)
        assert house.run("check").said == "1 stored"
        shown[0] = CONTENT[:9]
        house.later(34 * DAY)
        for _ in range(4):
            house.run("check")
            house.later(2 * HOUR)
        assert house.said("fetched") == [("fetched", "stored")] and "cut off" in house.copies()[0].said


def test_an_archive_that_sends_to_another_address_is_neither_good_nor_bad(tmp_path: Path) -> None:
    def script(target: str, send: Send) -> None:
        if "other" in target:
            send(reply(OTHER, 200, "memento-datetime: Wed, 01 Jan 2020 00:00:00 GMT"))
        else:
            send(reply(b"", 302, "location: /web/20200101000000id_/https://other.example/"))

    with stranger(script) as server:
        at = f"http://127.0.0.1:{server.port}"
        base = services(server)
        configured = replace(base, storing=Storing(archives=(WebArchive("a", f"{at}/s", f"{at}/c", f"{at}/web"),)))
        with storehouse(tmp_path, configured) as house:
            house.claim("wayback", f"{at}/web/20200101000000/https://a.example/x", RIGHT)
            for _ in range(3):
                house.run("check")
                house.later(8 * HOUR)
            assert house.said() == [("claimed", "stored")] and "elsewhere" in house.copies()[0].said
            assert len(server.asked) >= 4


def holder_services(server: Liar, *sites: Stranger) -> Services:
    return services(*sites, hosts=[server.address.partition("://")[2]])


def lying_holder(held: Held, sha256_hex: str) -> Script:
    """A holder of one file that answers as if its chunks were those of another."""
    false = Deposit(bytes.fromhex(sha256_hex), len(held.content), held.tree.root())

    def script(asked: Asked) -> Reply:
        root = bytes.fromhex(json.loads(asked.body)["checkpoint_root"])
        return Reply(answer(HOLDER, root, false, held.tree, held.chunk))

    return script


@pytest.mark.parametrize("length", [500, 20 * CHUNK_BYTES], ids=["shown whole", "shown in part"])
def test_a_holder_of_other_bytes_cannot_prove_a_hash_of_its_choosing(tmp_path: Path, length: int) -> None:
    junk, famous = Held(a_file(length)), sha256(b"the famous paper").hexdigest()
    with scripted(lying_holder(junk, famous)) as server, storehouse(tmp_path, holder_services(server)) as house:
        url = f"{server.address}/possession#ed25519:{HOLDER.public_key.hex()}"
        house.claim("holder", url, famous, bytes=length, chunk_root=junk.deposit.chunk_root.hex())
        checkpoint(house.home)
        for _ in range(3):
            house.run("check")
            house.later(8 * HOUR)
        assert not house.is_verified and ("proved", "stored") not in house.said()
        (row,) = house.copies()
        if length > 16 * CHUNK_BYTES:
            assert "no checker has read this content whole" in row.said and not server.asked


def test_a_long_file_is_challenged_once_a_checker_has_read_it_somewhere(tmp_path: Path) -> None:
    paper = Held(a_file(20 * CHUNK_BYTES))
    deposit = paper.deposit
    facts = {"bytes": deposit.length, "chunk_root": deposit.chunk_root.hex(), "swhid": "swh:1:cnt:" + "0" * 40}
    with (
        scripted(lambda asked: Reply(paper.answer(bytes.fromhex(json.loads(asked.body)["checkpoint_root"])))) as server,
        stranger(lambda _, send: send(reply(paper.content, 200, "content-type: text/x-paper"))) as site,
        storehouse(tmp_path, holder_services(server, site)) as house,
    ):
        url = f"{server.address}/possession#ed25519:{HOLDER.public_key.hex()}"
        house.claim("holder", url, deposit.sha256.hex(), **facts)
        checkpoint(house.home)
        house.run("check")
        assert not server.asked and house.said("proved") == []
        house.claim("https", site.at(SITE), deposit.sha256.hex(), **facts)
        assert house.run("check").said == "1 stored"
        house.later(8 * HOUR)
        assert house.run("check").said == "1 stored"
        fetched, proved = (entry.event.payload for entry in house.attestations()[-2:])
        assert (fetched.grade, proved.grade) == ("fetched", "proved")
        assert proved.content == fetched.content and proved.content.media_type == "text/x-paper"
        assert proved.content.swhid != facts["swhid"], "what a claim says is not repeated"


def test_a_proof_repeats_nothing_of_a_claim_that_nobody_checked(tmp_path: Path) -> None:
    paper = Held(a_file(1_000))
    deposit = paper.deposit
    script = lying_holder(paper, deposit.sha256.hex())
    with scripted(script) as server, storehouse(tmp_path, holder_services(server)) as house:
        url = f"{server.address}/possession#ed25519:{HOLDER.public_key.hex()}"
        facts = {"bytes": 1_000, "chunk_root": deposit.chunk_root.hex(), "media_type": "text/html"}
        house.claim("holder", url, deposit.sha256.hex(), **facts, swhid="swh:1:cnt:" + "0" * 40, cid="b" + "a" * 58)
        checkpoint(house.home)
        assert house.run("check").said == "1 stored"
        content = house.attestations()[-1].event.payload.content
        assert content.media_type == "application/octet-stream"
        assert content.swhid is UNSET and content.cid is UNSET
        assert (content.sha256, content.chunk_root) == (deposit.sha256.hex(), deposit.chunk_root.hex())
