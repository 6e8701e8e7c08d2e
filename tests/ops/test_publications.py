"""A log read from a store, a folder and an address: the same answers, and nothing worse from a hostile server."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.log import create_log_app
from ledger.errors import NotFoundError, SourceUnreadableError, UsageError, VerificationError
from ledger.proofs.authority import authority_of
from ledger.publication import Publication
from ledger.tiles import ENTRIES, Tile, tiles_written
from ledger.verified_tiles import VerifiedTiles
from ops.fetching import Fetching
from ops.publications import FolderPublication, HttpPublication, StorePublication, open_publication
from tests.builders import ALICE, Who, key
from tests.logs import Log
from tests.ops.hostile import closed_port
from tests.ops.hostile_logs import Behaviour, Connection, hostile_log
from tests.witnesses import served

KINDS = ("store", "folder", "address", "served folder")
SIZE = 300
SMALL = 20
"""A size that was published before; in a folder its partial tiles are gone by now."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log with two published checkpoints and entries beyond the last."""
    log = Log.opened(tmp_path_factory.mktemp("log"))
    for size in (SMALL, SIZE, SIZE + 1):
        log.admit(*(log.world.citation(ALICE) for _ in range(size - log.store.head().size)))
        if size <= SIZE:
            log.checkpoint()
    return log


@pytest.fixture(scope="module")
def folder(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the published log, as they were on the day of its last checkpoint."""
    folder = tmp_path_factory.mktemp("folder")
    store = StorePublication(log.store)
    for tile in tiles_written(0, SIZE):
        path = folder / tile.path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.tile(tile))
    (folder / "checkpoint").write_bytes(store.checkpoint())
    (folder / "pith-log.json").write_bytes(store.identity())
    return folder


@pytest.fixture(scope="module")
def publications(log: Log, folder: Path) -> Iterator[dict[str, Publication]]:
    store, files, fetching = StorePublication(log.store), FolderPublication(folder), Fetching()
    with served(create_log_app(store)) as address, served(create_log_app(files)) as mirror:
        yield {
            "store": store,
            "folder": files,
            "address": HttpPublication(f"{address}/", fetching),
            "served folder": HttpPublication(mirror, fetching),
        }


@pytest.fixture(params=KINDS)
def publication(request: pytest.FixtureRequest, publications: dict[str, Publication]) -> Publication:
    return publications[request.param]


# All of them alike.


def test_the_published_checkpoint_is_given(publication: Publication, log: Log) -> None:
    assert publication.checkpoint() == log.store.checkpoints.published().note


def test_the_identity_says_who_signed_the_checkpoint(publication: Publication, log: Log) -> None:
    authority = authority_of(json.loads(publication.identity()), log.store.entry(0).event.id_text)
    assert authority.open(publication.checkpoint()).checkpoint.size == SIZE


@pytest.mark.parametrize("tile", list(tiles_written(0, SIZE)), ids=Tile.path)
def test_every_tile_of_the_published_tree_is_given(publication: Publication, log: Log, tile: Tile) -> None:
    assert publication.tile(tile) == log.store.tree.tile(tile, SIZE)


def test_the_tiles_lead_to_the_signed_root(publication: Publication, log: Log) -> None:
    tiles = VerifiedTiles(SIZE, log.store.tree.root(SIZE), publication.tile)
    assert b"".join(tiles.hashes(0, 1)) == log.store.tree.tile(Tile(0, 1, SIZE - 256), SIZE)


@pytest.mark.parametrize("level", [0, ENTRIES])
def test_a_partial_tile_that_the_full_one_replaced_is_its_beginning(
    publication: Publication, log: Log, level: int
) -> None:
    partial = Tile(level, 0, SMALL)
    assert publication.tile(partial) == log.store.tree.tile(partial, SIZE)


@pytest.mark.parametrize(
    "tile", [Tile(0, 1), Tile(0, 1, SIZE + 1 - 256), Tile(0, 2, 1), Tile(1, 0, 2), Tile(2, 0, 1), Tile(ENTRIES, 2, 1)]
)
def test_nothing_beyond_the_published_tree_is_given(publication: Publication, tile: Tile) -> None:
    with pytest.raises(NotFoundError):
        publication.tile(tile)


# The store.


def test_a_store_that_published_nothing_says_so(tmp_path: Path) -> None:
    store = StorePublication(Log.opened(tmp_path).store)
    questions: tuple[Callable[[], bytes], ...] = (
        store.checkpoint,
        store.identity,
        lambda: store.tile(Tile(0, 0, 1)),
    )
    for ask in questions:
        with pytest.raises(NotFoundError, match="no checkpoint was published"):
            ask()


def test_a_store_serves_what_is_published_later(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    store = StorePublication(log.store)
    first = log.checkpoint()
    assert (store.checkpoint(), len(keys_of(store))) == (first.note, 1)
    successor = Who(key("the next log key"), "pith_registry", log.world.log.signer_id)
    log.admit(log.world.rotation(log.world.log, successor, "log", by=log.world.registry))
    assert (store.checkpoint(), len(keys_of(store))) == (first.note, 1)
    log.world.log = successor
    second = log.checkpoint()
    assert (store.checkpoint(), len(keys_of(store))) == (second.note, 2)


def keys_of(publication: Publication) -> list[bytes]:
    registry = authority_of(json.loads(publication.identity())).registry
    assert registry is not None
    return [found.public_key for found in registry.keys.of_role("log")]


# Folders.


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A folder with a checkpoint and the place for one tile, outside of which lies a secret."""
    (tmp_path / "secret").write_bytes(bytes(32))
    folder = tmp_path / "folder"
    (folder / "tile" / "0").mkdir(parents=True)
    (folder / "checkpoint").write_bytes(b"a checkpoint")
    return folder


TILE = Tile(0, 0, 1)


def place(folder: Path) -> Path:
    path = folder / TILE.path()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_a_folder_is_read_through_links_that_stay_inside(spoilt: Path) -> None:
    (spoilt / "kept").write_bytes(bytes(32))
    place(spoilt).symlink_to(spoilt / "kept")
    assert FolderPublication(spoilt).tile(TILE) == bytes(32)


def test_a_folder_may_be_reached_through_a_link(spoilt: Path) -> None:
    (spoilt.parent / "link").symlink_to(spoilt)
    assert FolderPublication(spoilt.parent / "link").checkpoint() == b"a checkpoint"


@pytest.mark.parametrize("target", ["../../../../secret", "/dev/zero", "/proc/self/environ"])
def test_a_link_out_of_the_folder_is_not_followed(spoilt: Path, target: str) -> None:
    place(spoilt).symlink_to(target)
    assert place(spoilt).exists()
    with pytest.raises(NotFoundError):
        FolderPublication(spoilt).tile(TILE)


def test_a_link_that_leads_back_to_itself_is_no_tile(spoilt: Path) -> None:
    place(spoilt).symlink_to(place(spoilt))
    with pytest.raises(SourceUnreadableError):
        FolderPublication(spoilt).tile(TILE)


def test_a_pipe_is_no_tile_and_is_not_waited_for(spoilt: Path) -> None:
    os.mkfifo(place(spoilt))
    with pytest.raises(NotFoundError):
        FolderPublication(spoilt).tile(TILE)


def test_a_folder_in_the_place_of_a_file_is_no_tile(spoilt: Path) -> None:
    place(spoilt).mkdir()
    with pytest.raises(NotFoundError):
        FolderPublication(spoilt).tile(TILE)


def test_a_file_in_the_place_of_a_folder_holds_no_tile(spoilt: Path) -> None:
    (spoilt / "tile" / "0" / "000.p").write_bytes(b"")
    with pytest.raises(NotFoundError):
        FolderPublication(spoilt).tile(TILE)


@pytest.mark.parametrize("size", [0, 31, 64])
def test_a_tile_of_another_length_is_refused(spoilt: Path, size: int) -> None:
    place(spoilt).write_bytes(bytes(size))
    with pytest.raises((VerificationError, SourceUnreadableError)):
        FolderPublication(spoilt).tile(TILE)


def test_a_checkpoint_of_more_than_a_mebibyte_is_refused(spoilt: Path) -> None:
    (spoilt / "checkpoint").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(SourceUnreadableError, match="1048576"):
        FolderPublication(spoilt).checkpoint()


# Addresses.


SOON = Fetching(deadline=0.5)
"""Gives up early, so that tests of what never ends do."""


def asked(behave: Behaviour, tile: Tile = TILE) -> bytes:
    with hostile_log(behave) as log:
        return HttpPublication(log.address, SOON).tile(tile)


def test_what_a_plain_server_sends_is_read() -> None:
    assert asked(lambda it: it.answer(bytes(32))) == bytes(32)


def test_a_body_may_be_packed() -> None:
    packed = gzip.compress(bytes(32))
    assert asked(lambda it: it.answer(packed, content_encoding="gzip")) == bytes(32)


def endless_body(it: Connection) -> None:
    it.head("200 OK")
    while True:
        it.send(bytes(65_536))


def endless_chunks(it: Connection) -> None:
    it.head("200 OK", transfer_encoding="chunked")
    while True:
        it.send(b"10000\r\n" + bytes(65_536) + b"\r\n")


def dribbled_head(it: Connection) -> None:
    it.send(b"HTTP/1.1 200 OK\r\nx-slow: ")
    it.dribble(b"a")


def dribbled_status(it: Connection) -> None:
    it.send(b"HTTP/1.1 ")
    it.dribble(b"2")


def dribbled_body(it: Connection) -> None:
    it.head("200 OK", content_length=8_192)
    it.dribble(b"\0")


def dribbled_chunks(it: Connection) -> None:
    it.head("200 OK", transfer_encoding="chunked")
    it.dribble(b"0")


def endless_head(it: Connection) -> None:
    it.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        it.send(b"x-more: and more\r\n")


def silence(it: Connection) -> None:
    it.over.wait()


def bomb(it: Connection) -> None:
    it.answer(gzip.compress(bytes(50_000_000)), content_encoding="gzip")


def cut_bomb(it: Connection) -> None:
    it.answer(gzip.compress(bytes(32))[:-9], content_encoding="gzip")


HOSTILE: dict[str, Behaviour] = {
    "a body without end": endless_body,
    "chunks without end": endless_chunks,
    "headers without end": endless_head,
    "a header, byte by byte": dribbled_head,
    "a status, byte by byte": dribbled_status,
    "a body, byte by byte": dribbled_body,
    "a chunk's length, byte by byte": dribbled_chunks,
    "silence": silence,
    "a gzip bomb": bomb,
    "half a gzip": cut_bomb,
    "no gzip": lambda it: it.answer(b"not gzip", content_encoding="gzip"),
    "another encoding": lambda it: it.answer(bytes(32), content_encoding="br"),
    "nothing": lambda it: it.socket.close(),
    "another protocol": lambda it: it.send(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "a failure": lambda it: it.answer(bytes(32), "500 Internal Server Error"),
    "no content": lambda it: it.answer(b"", "204 No Content"),
    "a part": lambda it: it.answer(bytes(32), "206 Partial Content"),
    "a redirect": lambda it: it.answer(bytes(32), "302 Found", location="/elsewhere"),
    "a redirect inwards": lambda it: it.answer(bytes(32), "301 Moved Permanently", location="http://169.254.169.254/"),
    "a byte too many": lambda it: it.answer(bytes(33)),
    "a byte less than announced": lambda it: (it.head("200 OK", content_length=32), it.send(bytes(31))),
}


@pytest.mark.parametrize("behave", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_answer_is_one_error_that_names_the_address(behave: Behaviour) -> None:
    with hostile_log(behave) as log, pytest.raises(SourceUnreadableError) as refused:
        HttpPublication(log.address, SOON).tile(TILE)
    assert refused.value.place == f"{log.address}/{TILE.path()}"
    assert refused.value.retryable and refused.value.cure


@pytest.mark.parametrize("size", [0, 31])
def test_a_tile_with_too_few_hashes_is_refused_as_no_tile(size: int) -> None:
    with pytest.raises(VerificationError) as refused:
        asked(lambda it: it.answer(bytes(size)))
    assert refused.value.step == "tile"


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\1", b"\0\1ab", b"\0\1a\0\0"])
def test_a_bundle_with_another_number_of_entries_is_refused_as_no_tile(content: bytes) -> None:
    with pytest.raises(VerificationError) as refused:
        asked(lambda it: it.answer(content), Tile(ENTRIES, 0, 1))
    assert refused.value.step == "tile"


def test_redirects_are_not_followed() -> None:
    with hostile_log(lambda it: it.answer(b"", "302 Found", location="/elsewhere")) as log:
        with pytest.raises(SourceUnreadableError, match="redirects"):
            HttpPublication(log.address, SOON).checkpoint()
        assert log.paths == ["/checkpoint"]


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_a_partial_tile_that_is_gone_is_asked_for_as_the_full_one(status: str) -> None:
    def behave(it: Connection) -> None:
        it.answer(bytes(range(256)) * 32, "200 OK" if it.path == "/tile/0/000" else status)

    with hostile_log(behave) as log:
        assert HttpPublication(log.address, SOON).tile(Tile(0, 0, 3)) == bytes(range(96))
        assert log.paths == ["/tile/0/000.p/3", "/tile/0/000"]


def test_what_is_nowhere_is_not_found_under_its_own_address() -> None:
    with hostile_log(lambda it: it.answer(b"", "404 Not Found")) as log, pytest.raises(NotFoundError) as refused:
        HttpPublication(log.address, SOON).tile(Tile(0, 0, 3))
    assert refused.value.place.endswith("/tile/0/000.p/3")


@pytest.mark.parametrize(("ask", "limit"), [("checkpoint", 1 << 20), ("identity", 16 << 20)])
def test_checkpoints_and_identities_are_read_up_to_their_bounds(ask: str, limit: int) -> None:
    fetching = Fetching()
    with hostile_log(lambda it: it.answer(bytes(limit))) as log:
        assert len(getattr(HttpPublication(log.address, fetching), ask)()) == limit
    with hostile_log(lambda it: it.answer(bytes(limit + 1))) as log, pytest.raises(SourceUnreadableError):
        getattr(HttpPublication(log.address, fetching), ask)()


def test_an_address_where_nobody_listens_is_one_error() -> None:
    with pytest.raises(SourceUnreadableError):
        HttpPublication(closed_port(), SOON).checkpoint()


# Naming one.


@pytest.mark.parametrize(
    "text",
    ["ftp://log.example", "http://", "https://log.example/?a=b", "http://log.example/#a", "http://[::1", "http://h:x"],
)
def test_what_is_no_address_of_a_log_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        open_publication(text)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        open_publication(str(tmp_path / "nowhere"))


def test_an_operator_names_a_folder_or_an_address(folder: Path) -> None:
    assert open_publication(str(folder)).checkpoint() == (folder / "checkpoint").read_bytes()
    with hostile_log(lambda it: it.answer(it.path.encode())) as log:
        assert open_publication(f"{log.address}/a/log/").checkpoint() == b"/a/log/checkpoint"
