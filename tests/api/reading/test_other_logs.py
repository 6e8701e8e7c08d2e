"""A registry of several logs over HTTP: each server answers for its own log and leads to the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from api.app import create_app
from api.client import Client
from api.reading.other_logs import Opened, OtherLog
from api.settings import ApiSettings
from ledger import records
from ledger.appending import Submission
from ledger.database import Database
from ledger.errors import NotFoundError, OtherLogError, VerificationError
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_receipt_file
from ops.checkpointing import newest
from ops.home import Home, open_home
from ops.logs import add_log
from ops.registry_app import composed
from ops.shared_logs import settings_of
from projections.queries import resolve
from projections.verify_bundle import verify_bundle
from tests.api.registry import a_home
from tests.builders import CAROL, NUMBER, OTHER_NUMBER, OTHER_PAPER, OTHER_RECORD, World, a_record
from tests.witnesses import served

LABEL = "2027"
FIRST, BESIDE = NUMBER[10:], OTHER_NUMBER[10:]
ELSEWHERE = "https://2027.pith.example"


@dataclass(frozen=True, slots=True)
class Server:
    """One log's server; `public` is where the others lead for it."""

    home: Home
    client: httpx.Client
    address: str
    public: str

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def location(self, path: str, **options: Any) -> tuple[int, str]:
        answer = self.get(path, **options)
        return answer.status_code, answer.headers.get("location", "")


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers of a registry with a paper in each log."""

    world: World
    first: Server
    beside: Server

    def both(self) -> tuple[tuple[Server, Server, str], ...]:
        """Return each server with the other, and the suffix of the paper that only the other has."""
        return (self.first, self.beside, BESIDE), (self.beside, self.first, FIRST)

    @property
    def root(self) -> str:
        return self.first.home.store.entry(0).event.id_text


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with two_servers(tmp_path_factory.mktemp("logs")) as found:
        yield found


@contextmanager
def two_homes(folder: Path) -> Iterator[tuple[World, Home, Home]]:
    """Make a registry of two logs: in the first a paper and two versions of a work, beside it a paper and one more."""
    world = World()
    with closing(a_home(folder / "first", world)) as first:
        other = add_log(first, LABEL, folder / LABEL, ELSEWHERE)
        with closing(open_home(settings_of(first.settings, other))) as beside:
            made = world.record_created(OTHER_RECORD, OTHER_PAPER, log=LABEL)
            first.append([Submission(world.record_created(*version(number))) for number in (1, 3)])
            beside.append([Submission(event) for event in (made, world.record_created(*version(2), log=LABEL))])
            for home in (first, beside):
                home.catch_up()
                newest(home)
            yield world, first, beside


@contextmanager
def two_servers(folder: Path) -> Iterator[Servers]:
    with two_homes(folder) as (world, first, beside), ExitStack() as opened:
        yield Servers(world, serve(opened, first, "https://pith.example"), serve(opened, beside, ELSEWHERE))


@dataclass(frozen=True, slots=True)
class OneServed:
    """The server of the first log, and the log beside, which nobody serves."""

    world: World
    first: Server
    beside: Home


@contextmanager
def first_served(folder: Path) -> Iterator[OneServed]:
    with two_homes(folder) as (world, first, beside), ExitStack() as opened:
        yield OneServed(world, serve(opened, first, "https://pith.example"), beside)


def serve(opened: ExitStack, home: Home, public: str) -> Server:
    parts = opened.enter_context(composed(home, ApiSettings(public), follow_seconds=3_600))
    address = opened.enter_context(served(create_app(parts)))
    client = opened.enter_context(httpx.Client(base_url=address, timeout=30))
    return Server(home, client, address, public)


def version(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return a_record(title=f"A work, version {number}", ident="2605.00009", version=number)


def number_of(version_: int) -> str:
    return records.identify(version(version_)[0]).number


# One paper by its number.


@pytest.mark.parametrize(
    "path",
    [
        "/pith/{}",
        "/pith/{}.json",
        "/pith/{}/bundle.json",
        "/pith/{}/state.json",
        "/.well-known/pith/{}/bundle.json",
        "/api/records/{}",
        "/api/records/{}/events",
        "/api/pith-number/{}/graph.json",
        "/api/pith-number/{}/events.json",
    ],
)
def test_a_paper_of_another_log_is_answered_by_that_log(servers: Servers, path: str) -> None:
    for here, other, suffix in servers.both():
        address = path.format(suffix)
        assert here.location(address) == (307, f"{other.public}{address}")
        assert other.get(address, headers={"accept": "application/json"}).status_code == 200


def test_what_was_asked_beside_goes_along(servers: Servers) -> None:
    path = f"/api/records/{BESIDE}?as_of=2026-06-19T16:12:24Z&x=%2F%0D%0A"
    assert servers.first.location(path) == (307, f"{ELSEWHERE}{path}")


def test_who_reads_pages_is_told_where_the_way_leads(servers: Servers) -> None:
    answer = servers.first.get(f"/pith/{BESIDE}", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{ELSEWHERE}/pith/{BESIDE}")
    assert "text/html" in answer.headers["content-type"] and "log/2027" in answer.text


def test_a_paper_that_no_log_has_is_not_found(servers: Servers) -> None:
    for here, _, _ in servers.both():
        assert here.get(f"/pith/{'A' * 26}.json").status_code == 404
        assert here.get("/pith/10.5555/nothing").status_code == 404


def test_what_another_log_answers_verifies_under_the_same_root(servers: Servers) -> None:
    bundle = servers.beside.get(f"/pith/{BESIDE}/bundle.json").json()
    assert verify_bundle(bundle, Trust(servers.root))
    bundle["checkpoint"] = servers.first.get("/checkpoint").text
    with pytest.raises(VerificationError):
        verify_bundle(bundle, Trust(servers.root))


def test_what_is_said_about_a_paper_is_said_to_its_log(servers: Servers) -> None:
    path = f"/pith/{BESIDE}/action/citation_signature"
    form = {"citing": "arxiv:2606.00002", "relationship": "supports"}
    answer = servers.first.client.post(path, json=form)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{ELSEWHERE}{path}")
    assert servers.beside.client.post(path, json=form).status_code < 300


# One event.


@pytest.mark.parametrize("path", ["/api/receipts/{}", "/api/events/{}", "/api/proof/inclusion?event_id={}"])
def test_an_event_of_another_log_is_proven_by_that_log(servers: Servers, path: str) -> None:
    for here, other, suffix in servers.both():
        entry = next(e for e in other.home.store.entries() if e.event.subject.endswith(suffix))
        address = path.format(entry.event.id_text)
        assert here.location(address) == (307, f"{other.public}{address}")
        assert other.get(address).status_code == 200


def test_a_key_event_is_proven_by_each_log_for_itself(servers: Servers) -> None:
    for here, _, _ in servers.both():
        receipt = here.get(f"/api/receipts/{servers.root}").json()
        assert receipt["origin"] == here.home.store.registry().origin
        assert verify_receipt_file(receipt, Trust(servers.root))


def test_an_event_that_no_log_has_is_not_found(servers: Servers) -> None:
    assert servers.first.get(f"/api/receipts/sha256:{'0' * 64}").status_code == 404


# Other names.


def test_a_name_leads_to_the_log_that_has_the_paper(servers: Servers) -> None:
    for here, other, suffix in servers.both():
        ident = {FIRST: "2606.00001", BESIDE: "2606.00003"}[suffix]
        wanted = 302, f"{other.public}/pith/{suffix}"
        assert here.location(f"/pith/{ident}") == wanted
        assert here.location(f"/paper/{suffix[:8]}") == wanted
        assert here.location(f"/api/pith-number/resolve?arxiv={ident}") == wanted
        assert here.location(f"/pith/{suffix[:12].lower()}.json") == (302, f"{other.public}/pith/{suffix}.json")


def test_a_name_as_json_says_which_log_it_is_in(servers: Servers) -> None:
    found = servers.first.get("/api/pith-number/resolve?arxiv=2606.00003&json=true").json()
    assert (found["pith_number"], found["log"]) == (OTHER_NUMBER, "test.registry/log/2027")
    assert found["links"]["html"] == f"{ELSEWHERE}/pith/{BESIDE}"
    assert "log" not in servers.beside.get("/api/pith-number/resolve?arxiv=2606.00003&json=true").json()


def test_a_work_in_several_logs_means_its_newest_version(servers: Servers) -> None:
    newest_version = number_of(3)
    for here, others in ((servers.first, 2), (servers.beside, 2)):
        found = here.get("/api/pith-number/resolve?arxiv=2605.00009&json=true").json()
        assert found["pith_number"] == newest_version
        assert sorted(each["pith_number"] for each in found["other_versions"]) == sorted([number_of(1), number_of(2)])
        assert len(found["other_versions"]) == others
    assert servers.beside.location("/pith/2605.00009") == (302, f"https://pith.example/pith/{newest_version[10:]}")
    assert servers.first.location("/pith/2605.00009v2") == (302, f"{ELSEWHERE}/pith/{number_of(2)[10:]}")


def test_a_search_finds_papers_of_every_log(servers: Servers) -> None:
    for here, other, suffix in servers.both():
        found = here.get("/api/search?q=papers").json()
        hits = {hit["pith_number"][10:]: hit for hit in found["hits"]}
        assert len(hits) == len(found["hits"]) == 5
        assert hits[suffix]["links"]["html"] == f"{other.public}/pith/{suffix}"
        assert hits[suffix]["log"] == other.home.store.registry().origin
        assert "unread" not in found


# Clients.


def test_a_client_that_knows_the_root_verifies_each_log_and_mixes_no_two(servers: Servers) -> None:
    for here, _, _ in servers.both():
        with Client(here.address, Trust(servers.root)) as client:
            assert client.registry_name() == "test.registry"
            assert client.checkpoint().checkpoint.origin == here.home.store.registry().origin


def test_a_server_that_turns_to_another_log_is_noticed(servers: Servers) -> None:
    answers = iter((servers.first, servers.beside))

    def turned(request: httpx.Request) -> httpx.Response:
        server = next(answers)
        return server.get(request.url.raw_path.decode())

    class Turning(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = turned(request)
            return httpx.Response(
                answer.status_code,
                headers={"content-type": answer.headers["content-type"]},
                stream=httpx.ByteStream(answer.content),
            )

    with Client("http://pith.example", Trust(servers.root), transport=Turning()) as client:
        client.receipt(servers.root)
        with pytest.raises(
            VerificationError, match=r"log test\.registry/log/2027, what came before of test\.registry/log"
        ):
            client.receipt(servers.root)


# Keys.


def test_a_key_is_registered_at_the_first_log_alone(servers: Servers) -> None:
    event = servers.world.registration(CAROL)
    refused = servers.beside.client.post("/api/events", json=event.value)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:pith:error:foreign-log")
    assert "first log" in refused.json()["cure"]
    assert servers.first.client.post("/api/events", json=event.value).status_code < 300


def test_a_server_brings_keys_to_the_other_logs_while_it_runs(tmp_path: Path) -> None:
    with ExitStack() as opened:
        first = opened.enter_context(closing(a_home(tmp_path / "first", World())))
        beside = opened.enter_context(closing(open_beside(first, tmp_path / LABEL)))
        opened.enter_context(composed(beside, ApiSettings(ELSEWHERE), follow_seconds=0.02))
        entry = first.append([Submission(World().registration(CAROL))])[-1].entry
        deadline = time.monotonic() + 20
        while beside.store.registry().keys.find(CAROL.key.key_id) is None:
            assert time.monotonic() < deadline, "the key does not come"
            time.sleep(0.01)
        assert beside.store.find(entry.event.event_id).received_at == entry.received_at


def open_beside(first: Home, data: Path) -> Home:
    return open_home(settings_of(first.settings, add_log(first, LABEL, data, ELSEWHERE)))


# Logs that are gone.


def test_a_paper_that_may_be_in_a_log_that_is_gone_is_no_404(tmp_path: Path) -> None:
    with first_served(tmp_path) as servers:
        back = hidden(servers.beside)
        for path in (f"/pith/{BESIDE}", "/pith/2606.00003", f"/api/receipts/sha256:{'0' * 64}"):
            answer = servers.first.get(path, headers={"accept": "application/json"})
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:pith:error:other-log")
            assert "log/2027" in answer.json()["detail"] and str(tmp_path) not in answer.text
        assert servers.first.get(f"/pith/{FIRST}.json").status_code == 200
        assert servers.first.location("/pith/2606.00001")[0] == 302
        found = servers.first.get("/api/search?q=papers").json()
        assert found["unread"] == ["test.registry/log/2027"]
        for was in back:
            was.with_suffix(".hidden").rename(was)
        assert servers.first.location(f"/pith/{BESIDE}.json")[0] == 307


def test_papers_of_another_log_that_were_not_read_yet_are_no_404(tmp_path: Path) -> None:
    with first_served(tmp_path) as servers:
        late = servers.world.record_created(*a_record(title="Late", ident="2606.00077"), log=LABEL)
        servers.beside.append([Submission(late)])
        answer = servers.first.get(f"/pith/{late.subject[10:]}.json")
        assert answer.status_code == 503
        servers.beside.catch_up()
        assert servers.first.location(f"/pith/{late.subject[10:]}.json")[0] == 307


@dataclass
class Counted:
    """Another log's projections that count how often they are looked into."""

    database: Database
    looks: int = 0

    def read(self) -> AbstractContextManager[Connection]:
        self.looks += 1
        return self.database.read()


def test_a_log_whose_papers_nobody_reads_is_waited_for_once(tmp_path: Path) -> None:
    with two_homes(tmp_path) as (world, _, beside):
        late = world.record_created(*a_record(title="Late", ident="2606.00077"), log=LABEL)
        beside.append([Submission(late)])
        counted: Any = Counted(beside.projections)
        log = OtherLog("test.registry/log/2027", ELSEWHERE, lambda: Opened(beside.store, counted, lambda: None))
        with pytest.raises(NotFoundError):
            resolve(counted, late.subject)
        once = counted.looks
        for _ in range(2):
            counted.looks = 0
            with pytest.raises(OtherLogError, match="not all been read"):
                log.ask(lambda at: resolve(at.projections, late.subject))
        assert counted.looks == once + 1  # how far they are is looked at again, and not waited for
        beside.catch_up()
        assert log.ask(lambda at: resolve(at.projections, late.subject)).subject == late.subject


def test_a_log_whose_address_nobody_gave_leads_nowhere(tmp_path: Path) -> None:
    with first_served(tmp_path) as servers:
        path = servers.first.home.settings.data / "logs.toml"
        path.write_text(path.read_text().replace(f'address = "{ELSEWHERE}"\n', ""))
        answer = servers.first.get(f"/pith/{BESIDE}.json")
        assert (answer.status_code, "not known where" in answer.json()["detail"]) == (503, True)


def test_an_unreadable_list_of_logs_makes_nothing_disappear(tmp_path: Path) -> None:
    with first_served(tmp_path) as servers:
        (servers.first.home.settings.data / "logs.toml").write_text("[[log")
        assert servers.first.get(f"/pith/{BESIDE}.json").status_code == 503
        assert servers.first.get(f"/pith/{FIRST}.json").status_code == 200


def test_a_log_that_does_not_get_its_keys_is_warned_about(tmp_path: Path) -> None:
    with two_homes(tmp_path) as (_, first, beside), ExitStack() as opened:
        hidden(first)
        ready = serve(opened, beside, ELSEWHERE).get("/health/ready").json()
    assert [warning["reason"] for warning in ready["warnings"]] == ["keys-behind"]


def hidden(home: Home) -> list[Path]:
    """Take a log's files away; return where they were."""
    files = [home.settings.ledger_path, home.settings.projections_path]
    for path in files:
        path.rename(path.with_suffix(".hidden"))
    return files
