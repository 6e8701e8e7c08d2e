"""Block headers from a node, an interface and a file: agreement, depth, and sources that lie.

A real node is asked in `test_regtest_round`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.block_headers import block_id
from ledger.errors import ServiceRefusedError, ServiceUnavailableError, UsageError
from ops.fetching import Fetching
from ops.services import HeaderSource
from ops.timestamps.headers import Headers, read_headers
from tests.ledger.timestamps import HEADER, HEIGHT, OTS
from tests.ops.timestamps.calendars import Explorer
from tests.ops.timestamps.chains import FIRST_HEIGHT, ToyChain
from tests.ops.timestamps.serving import Reply, Request, Served, Switches

FETCHING = Fetching(deadline=20)
DEPTH = 3


@pytest.fixture
def chain() -> ToyChain:
    """Five blocks, from 101 to 105."""
    found = ToyChain()
    found.grow(5)
    return found


@pytest.fixture
def explorer(chain: ToyChain) -> Iterator[Explorer]:
    with Explorer(chain) as running:
        yield running


def asked(*sources: HeaderSource | Served, depth: int = DEPTH, fetching: Fetching = FETCHING) -> Headers:
    """Return headers from sources; a server counts as an Esplora."""
    told = [one if isinstance(one, HeaderSource) else HeaderSource("esplora", one.url) for one in sources]
    return Headers(told, fetching, depth)


def file_of(path: Path, headers: object) -> HeaderSource:
    path.write_text(headers if isinstance(headers, str) else json.dumps(headers))
    return HeaderSource("file", str(path))


class JsonNode(Served):
    """A node of which each method answers what it is told to; requests are kept."""

    def __init__(self, chain: ToyChain, **results: Any) -> None:
        self.chain, self.results = chain, results
        super().__init__()

    def answer(self, request: Request) -> Reply:
        call = json.loads(request.body)
        if "raw" in self.results:
            return Reply(self.results.get("status", 200), self.results["raw"], "application/json")
        name = f"{call['method']}_verbose" if call["params"][1:] == [True] else call["method"]
        result = self.results[name] if name in self.results else self._truth(name, call["params"])
        if isinstance(result, Exception):
            error = {"code": result.args[0], "message": result.args[1]}
            return Reply(500, json.dumps({"result": None, "error": error, "id": 1}).encode(), "application/json")
        return Reply(200, json.dumps({"result": result, "error": None, "id": 1}).encode(), "application/json")

    def _truth(self, name: str, parameters: list[Any]) -> object:
        if name == "getblockhash":
            header = self.chain.header(parameters[0])
            return Exception(-8, "Block height out of range") if header is None else block_id(header)
        heights = range(FIRST_HEIGHT, self.chain.tip + 1)
        (height,) = [at for at in heights if block_id(self.chain.header(at) or b"") == parameters[0]]
        if name == "getblockheader":
            return (self.chain.header(height) or b"").hex()
        return {"confirmations": self.chain.tip - height + 1, "difficulty": 4.6e-10}


def node(server: Served) -> HeaderSource:
    return HeaderSource("node", server.url)


# One source.


def test_explorer_gives_the_header_of_a_block_that_lies_deep_enough(chain: ToyChain, explorer: Explorer) -> None:
    assert asked(explorer).header(103) == chain.header(103)


@pytest.mark.parametrize("slash", ["", "/"])
def test_address_keeps_its_path(chain: ToyChain, slash: str) -> None:
    with Explorer(chain, prefix="/testnet/api") as explorer:
        assert asked(HeaderSource("esplora", explorer.url + slash)).header(103) == chain.header(103)


def test_node_gives_the_header_of_a_block_that_lies_deep_enough(chain: ToyChain) -> None:
    with JsonNode(chain) as served:
        assert asked(node(served)).header(103) == chain.header(103)
        assert {request.headers["content-type"] for request in served.requests} == {"application/json"}


def test_file_gives_the_header_of_any_depth(tmp_path: Path) -> None:
    source = file_of(tmp_path / "headers.json", {str(HEIGHT): HEADER.hex()})
    assert asked(source, depth=100).header(HEIGHT) == HEADER


def test_file_is_read_anew_each_time(tmp_path: Path) -> None:
    headers = asked(file_of(tmp_path / "headers.json", {}))
    with pytest.raises(ServiceUnavailableError, match=f"no header of block {HEIGHT}"):
        headers.header(HEIGHT)
    file_of(tmp_path / "headers.json", {str(HEIGHT): HEADER.hex()})
    assert headers.header(HEIGHT) == HEADER


@pytest.mark.parametrize("form", [Explorer, JsonNode])
def test_block_is_waited_for_until_it_lies_deep_enough(chain: ToyChain, form: Callable[[ToyChain], Served]) -> None:
    with form(chain) as served:
        headers = asked(node(served) if form is JsonNode else served)
        with pytest.raises(ServiceUnavailableError, match="block 104 is 2 of 3 deep") as caught:
            headers.header(104)
        assert caught.value.place == served.url
        with pytest.raises(ServiceUnavailableError, match="not reached"):
            headers.header(106)
        chain.grow(1)
        assert headers.header(104) == chain.header(104)


def test_nobody_is_asked_where_no_source_is_configured() -> None:
    with pytest.raises(ServiceUnavailableError, match="no source is configured"):
        asked().header(1)


# Several.


def test_sources_that_agree_give_one_header(chain: ToyChain, explorer: Explorer, tmp_path: Path) -> None:
    header = chain.header(103)
    assert header is not None
    with JsonNode(chain) as served, Explorer(chain) as other:
        source = file_of(tmp_path / "headers.json", {"103": header.hex()})
        assert asked(source, explorer, node(served), other).header(103) == header


@pytest.mark.parametrize("first", [True, False])
def test_source_that_says_another_block_is_found_out_and_named(
    chain: ToyChain, explorer: Explorer, first: bool
) -> None:
    with Explorer(chain) as liar:
        liar.lies = "block"
        sources = (liar, explorer) if first else (explorer, liar)
        with pytest.raises(ServiceRefusedError, match="not the same everywhere") as caught:
            asked(*sources).header(103)
        header = chain.header(103)
        assert header is not None and f"{explorer.url} says {block_id(header)}" in caught.value.message
        assert liar.url in caught.value.message


def test_file_of_another_chain_is_found_out(chain: ToyChain, explorer: Explorer, tmp_path: Path) -> None:
    with pytest.raises(ServiceRefusedError, match="not the same everywhere"):
        asked(explorer, file_of(tmp_path / "headers.json", {"103": HEADER.hex()})).header(103)


@pytest.mark.parametrize("name", ["down", "refusing", "endless", "huge", "garbage"])
def test_source_that_is_broken_does_not_count(chain: ToyChain, explorer: Explorer, name: str) -> None:
    with Explorer(chain) as broken:
        broken.switches = replace(Switches(), **{name: True})
        assert asked(broken, explorer).header(103) == chain.header(103)
        with pytest.raises(ServiceUnavailableError, match="nobody gives the header of block 103") as caught:
            asked(broken).header(103)
        assert broken.url in caught.value.message and str(caught.value).isprintable()


@pytest.mark.parametrize("lie", ["header", "form"])
def test_source_that_contradicts_itself_does_not_count(chain: ToyChain, explorer: Explorer, lie: str) -> None:
    with Explorer(chain) as liar:
        liar.lies = lie  # type: ignore[assignment]
        assert asked(liar, explorer).header(103) == chain.header(103)
        reason = "is of block" if lie == "header" else "something else than was asked for: block 103, as you wish"
        with pytest.raises(ServiceUnavailableError, match=reason):
            asked(liar).header(103)


def test_source_that_never_answers_does_not_count(chain: ToyChain, explorer: Explorer) -> None:
    with Explorer(chain) as silent:
        silent.switches.hanging = True
        with pytest.raises(ServiceUnavailableError):
            asked(silent, fetching=Fetching(deadline=0.3)).header(103)


def test_source_that_lags_behind_holds_up_what_it_finds_too_shallow(chain: ToyChain, explorer: Explorer) -> None:
    with Explorer(chain) as lagging:
        lagging.behind = 1
        with pytest.raises(ServiceUnavailableError, match="2 of 3 deep") as caught:
            asked(explorer, lagging).header(103)
        assert caught.value.place == lagging.url
        lagging.behind = 4  # It does not know the block at all.
        assert asked(explorer, lagging).header(103) == chain.header(103)


def test_block_that_a_reorganisation_replaced_is_told_as_it_is_now(chain: ToyChain, explorer: Explorer) -> None:
    before = asked(explorer).header(103)
    chain.replace(103)
    assert asked(explorer).header(103) == chain.header(103) != before


# A node that does not do as it should.


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ({"getblockhash": "short"}, "something else than was asked for: short"),
        ({"getblockhash": 7}, "something else than was asked for: 7"),
        ({"getblockhash": None}, "something else"),
        ({"getblockhash": "A" * 64}, "something else"),
        ({"getblockheader": "00" * 79}, "something else"),
        ({"getblockheader": HEADER.hex()}, "is of block"),
        ({"getblockheader_verbose": None}, "how many blocks confirm"),
        ({"getblockheader_verbose": {}}, "how many blocks confirm"),
        ({"getblockheader_verbose": {"confirmations": "9"}}, "how many blocks confirm"),
        ({"getblockheader_verbose": {"confirmations": True}}, "how many blocks confirm"),
        ({"getblockheader_verbose": {"confirmations": -1}}, "no longer on its chain"),
        ({"getblockhash": Exception(-28, "Loading block index…")}, "saying: Loading block index"),
        ({"raw": b"<html>"}, "JSON-RPC"),
        ({"raw": b""}, "JSON-RPC"),
        ({"raw": b"[]"}, "JSON-RPC"),
        ({"raw": b"{}"}, "JSON-RPC"),
        ({"raw": b"[" * 9_000}, "JSON-RPC"),
        ({"raw": b'{"result":' + b"9" * 5_000 + b"}"}, "JSON-RPC"),
        ({"raw": b"\xff\xfe"}, "JSON-RPC"),
        ({"raw": b"", "status": 401}, "status 401"),
        ({"raw": b"Work queue depth exceeded", "status": 503}, "status 503, saying: Work queue depth exceeded"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode() if isinstance(value, dict) else "",
)
def test_answer_of_a_node_that_cannot_be_used_does_not_count(
    chain: ToyChain, results: dict[str, Any], reason: str
) -> None:
    with JsonNode(chain, **results) as served, pytest.raises(ServiceUnavailableError, match=reason) as caught:
        asked(node(served)).header(103)
    assert len(str(caught.value)) < 500


def test_password_of_a_node_stands_in_no_error_and_no_repr(chain: ToyChain) -> None:
    with JsonNode(chain) as served:
        source = HeaderSource("node", served.url.replace("//", "//user:hush@"))
        headers = asked(source)
        assert headers.header(103) == chain.header(103)
        assert served.requests[-1].headers["authorization"] == "Basic dXNlcjpodXNo"
        served.switches.down = True
        with pytest.raises(ServiceUnavailableError) as caught:
            headers.header(103)
    shown = f"{caught.value} {caught.value.facts()} {source!r}"
    assert "hush" not in shown and "user" not in shown and served.url in shown


@pytest.mark.parametrize("address", ["", "node:8332", "http://user:hush@:port", "http://user:hush@host:port"])
def test_address_that_is_none_is_a_usage_error_without_the_password(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(HeaderSource("node", address))
    assert "hush" not in str(caught.value)


# Files.


def test_published_headers_are_read() -> None:
    found = read_headers(OTS / "headers.json")
    assert found[HEIGHT] == HEADER and len(found) == 9
    assert block_id(found[523364]).startswith("0" * 16)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "no object"),
        ("7", "no object"),
        ('{"1": "00"}', "160 hex digits"),
        (json.dumps({"1": {"2": "00"}}), "160 hex digits"),
        (json.dumps({"1": 5}), "160 hex digits"),
        (json.dumps({"01": HEADER.hex()}), "no height"),
        (json.dumps({"-1": HEADER.hex()}), "no height"),
        (json.dumps({"2147483648": HEADER.hex()}), "no height"),
        (json.dumps({"٣": HEADER.hex()}), "no height"),
        (f'{{"1": "{HEADER.hex()}", "1": "{HEADER.hex()}"}}', "more than once"),
        (json.dumps({"1": HEADER.hex() + " "}), "160 hex digits"),
        ("[" * 100_000, "nested"),
        ('{"\ud800": ""}', "can't decode"),
        ('{"\\ud800": ""}', "no height"),
        ("\ufeff{}", "UTF-8 BOM"),
    ],
    ids=lambda value: f"{len(value)}-{value[:12]}".encode("ascii", "replace").decode(),
)
def test_file_that_holds_something_else_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "headers.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match=reason) as caught:
        read_headers(path)
    assert caught.value.place == str(path)
    with pytest.raises(ServiceUnavailableError):
        asked(HeaderSource("file", str(path))).header(1)


def test_file_that_is_missing_a_folder_or_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_headers(tmp_path / "missing.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_headers(tmp_path)
    long = tmp_path / "long.json"
    with long.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(UsageError, match="more than 16777216 bytes"):
        read_headers(long)
