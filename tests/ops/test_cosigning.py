"""Collecting cosignatures: from real witnesses over HTTP, among others that lie, stall, flood or are not there."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from api.witness import create_witness_app
from ledger import notes
from ledger.errors import StoreError, VerificationError
from ledger.keys import SecretKey
from ledger.notes import COSIGNATURE, Verifier
from ledger.quorum import KnownWitness, Policy
from ledger.witness import Witness
from ops.cosigning import MAX_ANSWER_BYTES, Collected, collect
from tests.builders import key
from tests.ops.hostile import Behaviour, Exchange, HostileServer, closed_port, hostile
from tests.witnesses import NOW, Tree, a_witness, served

TREE = Tree.of(24)
FORK = TREE.fork(5)


def key_of(name: str) -> SecretKey:
    return key(f"witness {name}")


def known(name: str, url: str | None) -> KnownWitness:
    return KnownWitness(name, Verifier(f"{name}.example/witness", COSIGNATURE, key_of(name).public_key), url)


def policy(*witnesses: KnownWitness) -> Policy:
    return Policy((), witnesses, (), None)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    # Told to follow redirects, to show that witnesses cannot make use of it.
    with httpx.Client(follow_redirects=True) as found:
        yield found


class Network:
    """Real witnesses by name, each with a memory of its own, served over HTTP."""

    def __init__(self, folder: Path, names: str) -> None:
        self._stack = ExitStack()
        self.witnesses: dict[str, Witness] = {}
        self.known: dict[str, KnownWitness] = {}
        for name in names:
            witness = a_witness(folder / name, name=f"{name}.example/witness", by=key_of(name))
            address = self._stack.enter_context(served(create_witness_app(witness, lambda: NOW * 1_000_000)))
            self.witnesses[name] = witness
            self.known[name] = known(name, f"{address}/")

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def policy(self) -> Policy:
        return policy(*self.known.values())


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Network(tmp_path, "ab") as found:
        yield found


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnownWitness]:
    """A witness that cosigns for as long as its neighbours misbehave."""
    with Network(tmp_path_factory.mktemp("honest"), "a") as found:
        yield found.known["a"]


def check(found: Collected, names: str, asked: Policy, tree: Tree = TREE, size: int = 15) -> None:
    """Check that exactly these witnesses cosigned, and that every one of their cosignatures holds."""
    assert set(found.signatures) == set(names), found.errors
    assert set(found.errors) == {witness.name for witness in asked.witnesses if witness.url} - set(names)
    for witness in asked.witnesses:
        if witness.name in found.signatures:
            witness.key.verify(tree.text(size), found.signatures[witness.name])


def ask(asked: Policy, client: httpx.Client, size: int = 15, deadline: float = 20.0, **cosigned: int) -> Collected:
    return collect(TREE.note(size).format(), asked, cosigned, TREE.proof, client, deadline)


# --- real witnesses ------------------------------------------------------------------------


def test_every_witness_with_an_address_is_asked(network: Network, client: httpx.Client) -> None:
    asked = policy(*network.known.values(), known("offline", None))
    found = ask(asked, client)
    check(found, "ab", asked)
    assert [line.time for line in found.signatures.values()] == [NOW, NOW]


def test_a_log_that_grows_is_cosigned_from_what_each_witness_knows(network: Network, client: httpx.Client) -> None:
    ask(policy(network.known["a"]), client, size=3)
    ask(network.policy, client, size=8, a=3)
    check(ask(network.policy, client, a=8, b=8), "ab", network.policy)


@pytest.mark.parametrize("believed", [0, 5, 15])
def test_a_witness_that_knows_another_size_is_asked_again_from_there(
    network: Network, client: httpx.Client, believed: int
) -> None:
    ask(network.policy, client, size=8)
    check(ask(network.policy, client, a=believed, b=8), "ab", network.policy)


def test_the_same_checkpoint_may_be_cosigned_again(network: Network, client: httpx.Client) -> None:
    for _ in range(2):
        check(ask(network.policy, client), "ab", network.policy)


def test_a_witness_that_is_ahead_of_us_is_an_error_that_says_so(network: Network, client: httpx.Client) -> None:
    ask(policy(network.known["a"]), client, size=20)
    for believed in (0, 20):
        found = ask(network.policy, client, a=believed)
        check(found, "b", network.policy)
        assert found.errors["a"] == "it has cosigned 20 entries of this log, this checkpoint has 15"


def test_a_witness_that_cosigned_another_history_says_so(network: Network, client: httpx.Client) -> None:
    network.witnesses["a"].add_checkpoint(FORK.request(0, 15), NOW)
    network.witnesses["b"].add_checkpoint(FORK.request(0, 8), NOW)
    found = ask(network.policy, client)
    check(found, "", network.policy)
    assert found.errors["a"].startswith("it answered 409: 'a tree of 15 entries has the root")
    assert found.errors["b"].startswith("it answered 422: 'the proof leads to")


def test_a_proof_that_we_cannot_make_costs_the_others_nothing(network: Network, client: httpx.Client) -> None:
    def proof(old: int, size: int) -> list[bytes]:
        if old == 7:
            raise StoreError("a node is missing")
        return TREE.proof(old, size)

    found = collect(TREE.note(15).format(), network.policy, {"a": 7}, proof, client)
    check(found, "b", network.policy)
    assert found.errors["a"] == "a node is missing"


def test_proofs_are_made_one_at_a_time(network: Network, client: httpx.Client) -> None:
    meeting, met = threading.Barrier(2), []

    def proof(old: int, size: int) -> list[bytes]:
        with suppress(threading.BrokenBarrierError):
            met.append(meeting.wait(0.2))
        return TREE.proof(old, size)

    check(collect(TREE.note(15).format(), network.policy, {}, proof, client), "ab", network.policy)
    assert met == []


def test_what_is_no_checkpoint_is_sent_to_nobody(client: httpx.Client) -> None:
    with hostile(lambda exchange: None) as server:
        for wrong in (b"", TREE.note(15).format()[:-1], b"text\n\n" + TREE.note(15).format().rpartition(b"\n\n")[2]):
            with pytest.raises(VerificationError):
                collect(wrong, policy(known("h", server.address)), {}, TREE.proof, client)
    assert server.bodies == []


# --- hostile ones --------------------------------------------------------------------------


def right_line(size: int = 15, tree: Tree = TREE, time: int = NOW, name: str = "h") -> bytes:
    """Return the cosignature that the hostile witness could give."""
    return notes.cosign(tree.text(size), f"{name}.example/witness", key_of(name), time).format().encode()


def answering(content: bytes, status: int = 200, **headers: str) -> Behaviour:
    return lambda exchange: exchange.answer(status, content, **headers)


def conflict(size: str, kind: str = "text/x.tlog.size") -> Behaviour:
    return answering(size.encode(), 409, content_type=kind)


def flood(exchange: Exchange) -> None:
    exchange.start()
    while True:
        exchange.wfile.write(right_line() * 100)


def flood_of_headers(exchange: Exchange) -> None:
    exchange.send_response(200)
    while True:
        exchange.wfile.write(b"x-more: and more\r\n" * 1_000)


def bomb(exchange: Exchange) -> None:
    exchange.answer(200, gzip.compress(bytes(50_000_000)), content_encoding="gzip")


def hang_up(exchange: Exchange) -> None:
    exchange.close_connection = True
    exchange.connection.close()


BY_ANOTHER_KEY = notes.cosign(TREE.text(15), "h.example/witness", key("mallory"), NOW).format().encode()
ANOTHER_TEXT = notes.cosign(f"{TREE.text(15)}\nmore\n", "h.example/witness", key_of("h"), NOW).format().encode()
FORGED = (
    notes.NoteSignature("h.example/witness", known("h", None).key.key_hash, NOW.to_bytes(8, "big") + bytes(64))
    .format()
    .encode()
)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (answering(b""), "has no end"),
        (answering(b"garbage"), "has no end"),
        (answering(b"\xff\xfe\n"), "not UTF-8"),
        (answering(b"<html>\n"), "is no signature line"),
        (answering(right_line()[:-1]), "has no end"),
        (answering(right_line() + b"\n"), "has no end"),
        (answering(b"\n" + right_line()), "does not hold"),
        (answering(b"more\n\n" + right_line()), "does not hold"),
        (answering(b"more\n\n" + ANOTHER_TEXT), "is not made of signature lines"),
        (answering(right_line().replace(b"\n", b"\r\n")), "is no signature line"),
        (answering(right_line() * 2), "signed twice"),
        (answering(right_line() * 101), "more than 100 signatures"),
        (answering(FORGED), "does not hold"),
        (answering(right_line() + FORGED), "signed twice"),
        (answering(FORGED + right_line()), "does not hold"),
        (answering(BY_ANOTHER_KEY), "no known key signed"),
        (answering(right_line(name="stranger")), "no known key signed"),
        (answering(right_line(size=14)), "does not hold"),
        (answering(right_line(tree=FORK)), "does not hold"),
        (answering(right_line(time=0)), "states no time"),
        (answering(right_line(), status=201), "it answered 201"),
        (answering(right_line(), status=204), "it"),
        (answering(b"out of order\n\x1b[2J", 500), "it answered 500: 'out of order\\n\\x1b[2J'"),
        (answering(b"x" * 10_000, 503), "it answered 503: 'xxx"),
        (answering(b"", 302, location="/elsewhere"), "it answered 302"),
        (answering(b"", 307, location="/elsewhere"), "it answered 307"),
        (answering(b"", content_length="5"), "it cannot be asked"),
        (answering(gzip.compress(right_line()), content_encoding="gzip"), "is not UTF-8"),
        (bomb, "is not UTF-8"),
        (conflict("8"), "it answered 409: '8'"),
        (conflict("08\n"), "it answered 409: '08'"),
        (conflict("-8\n"), "it answered 409: '-8'"),
        (conflict("8\n8\n"), "it answered 409"),
        (conflict("8\n", "text/plain"), "it answered 409: '8'"),
        (conflict("8\n", "text/x.tlog.size; charset=utf-8"), "it answered 409: '8'"),
        (conflict(f"{10**30}\n"), "it answered 409"),
        (conflict("15\n"), "it answered 409: '15'"),
        (conflict("16\n"), "it has cosigned 16 entries of this log, this checkpoint has 15"),
        (conflict("8\n"), "it answered 409: '8'"),
        (conflict("0\n"), "it answered 409: '0'"),
        (flood, f"its answer is longer than {MAX_ANSWER_BYTES} bytes"),
        (flood_of_headers, "it cannot be asked"),
        (hang_up, "it cannot be asked"),
    ],
)
def test_a_hostile_witness_gives_an_error_and_takes_nothing_from_the_others(
    honest: KnownWitness, client: httpx.Client, behave: Behaviour, reason: str
) -> None:
    with hostile(behave) as server:
        asked = policy(known("h", server.address), honest)
        found = ask(asked, client)
        check(found, "a", asked)
        assert reason in found.errors["h"]
        assert len(found.errors["h"]) < 1_000
        assert 1 <= len(server.bodies) <= 2
        assert not any(body.startswith(b"GET") for body in server.bodies)


def test_lines_by_unknown_keys_are_ignored(client: httpx.Client) -> None:
    strangers = right_line(name="stranger") + BY_ANOTHER_KEY
    with hostile(answering(strangers + right_line() + strangers)) as server:
        asked = policy(known("h", server.address))
        check(ask(asked, client), "h", asked)


def test_a_witness_that_always_names_another_size_is_asked_twice(client: httpx.Client) -> None:
    def wander(exchange: Exchange) -> None:
        server: HostileServer = exchange.server
        exchange.answer(409, b"%d\n" % (8 + len(server.bodies)), content_type="text/x.tlog.size")

    with hostile(wander) as server:
        found = ask(policy(known("h", server.address)), client)
    assert found.errors["h"] == "it answered 409: '10'"
    assert [body.split(b"\n")[0] for body in server.bodies] == [b"old 0", b"old 9"]


def test_a_witness_that_says_nothing_is_left_behind(honest: KnownWitness, client: httpx.Client) -> None:
    with hostile(Exchange.wait_for_the_end) as server:
        asked = policy(known("h", server.address), honest)
        found = ask(asked, client, deadline=5.0)
        check(found, "a", asked)
        assert found.errors["h"] in ("it did not answer within 5 seconds", "it cannot be asked: timed out")


def test_a_witness_that_stops_half_way_is_left_behind(client: httpx.Client) -> None:
    def stall(exchange: Exchange) -> None:
        exchange.start(content_type="text/plain")
        exchange.wfile.write(right_line()[:10])
        exchange.wait_for_the_end()

    with hostile(stall) as server:
        found = ask(policy(known("h", server.address)), client, deadline=0.5)
        assert found.errors["h"] in ("it did not answer within 0.5 seconds", "it cannot be asked: timed out")


def test_a_witness_that_dribbles_is_left_behind(client: httpx.Client) -> None:
    """Each byte comes in time, all of them never."""

    def dribble(exchange: Exchange) -> None:
        exchange.start(content_type="text/plain")
        while not exchange.server.over.wait(0.05):
            exchange.wfile.write(b"x")

    with hostile(dribble) as server:
        found = ask(policy(known("h", server.address)), client, deadline=0.5)
        assert "within 0.5 seconds" in found.errors["h"]


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "http://", "http://[::1", "http://a b/", "\udcff", ""],
)
def test_a_witness_without_a_usable_address_is_an_error(honest: KnownWitness, client: httpx.Client, url: str) -> None:
    found = ask(policy(known("h", url), honest), client)
    assert set(found.signatures) == {"a"}
    assert found.errors["h"].startswith("it cannot be asked: ")


def test_a_witness_that_is_not_there_is_an_error(client: httpx.Client) -> None:
    found = ask(policy(known("h", closed_port())), client)
    assert found.errors["h"].startswith("it cannot be asked: ")


def test_a_client_that_was_closed_is_an_error_for_each_witness() -> None:
    with hostile(answering(right_line())) as server:
        client = httpx.Client()
        client.close()
        found = ask(policy(known("h", server.address)), client)
    assert found.errors["h"].startswith("it cannot be asked: ")
