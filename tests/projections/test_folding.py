"""Folding range by range: however a log is cut, and whoever folds which part, the state is the one of the tables."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import canonical
from ledger.database import open_sqlite
from ledger.events import Entry
from ledger.ranges import Range
from ledger.rows import insert_entries, locked_head_of
from projections.digests import PaperDigest, content_of
from projections.folding import folded
from projections.rebuild import replay, state_digest
from projections.runner import Runner, create_projections
from projections.verbatim import payload_text, signer_text
from tests.builders import SESSION, World, a_record
from tests.logs import Log
from tests.projections.histories import eventful, touching_old_papers
from tests.projections.papers import open_policy


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Log]:
    return [
        touching_old_papers(tmp_path_factory.mktemp("touching")),
        *(eventful(tmp_path_factory.mktemp("chance"), seed) for seed in range(3)),
    ]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 3), chance=st.randoms(use_true_random=False), admitted=st.booleans())
def test_papers_folded_in_any_parts_and_order_give_one_digest(
    logs: list[Log], at: int, chance: random.Random, admitted: bool
) -> None:
    store = logs[at].store
    size, registry = store.head().size, store.registry()
    stop = chance.randrange(size + 1)
    cuts = sorted({0, stop, *chance.choices(range(stop + 1), k=chance.randrange(9))})
    parts = [Range(*ends) for ends in pairwise(cuts)]
    chance.shuffle(parts)
    with PaperDigest() as digest:
        for within in parts:
            entries = store.entries(within.start, within.stop)
            digest.add(map(content_of, folded(store, registry, within, entries, stop, admitted=admitted)))
        assert digest.hexdigest() == replay(store, stop)


def test_a_paper_whose_record_stands_twice_belongs_to_the_first_alone(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    again = log.world.record_created()
    database = open_sqlite(tmp_path / "log.sqlite", durable=False)
    with database.write() as connection:  # past the rules, as only a dishonest registry appends
        head, edge = locked_head_of(connection)
        insert_entries(connection, [Entry(head.size, log.clock(), again)], [], head, edge)
    registry, size = log.store.registry(), log.store.head().size
    found = [
        [judged.record.position for judged in folded(log.store, registry, within, entries, size)]
        for within in (Range(0, size - 1), Range(size - 1, size))
        for entries in [log.store.entries(within.start, within.stop)]
    ]
    database.close()
    assert found == [[size - 2], []]


@pytest.mark.parametrize("text", ["a\x00b", "naïve – 中文 \U0001f4dc", '","registry":"x","signer":{"', "\\", ""])
def test_texts_of_every_kind_give_the_digest_of_the_tables(tmp_path: Path, text: str) -> None:
    log = Log.opened(tmp_path)
    record, paper = a_record("A title", "An abstract", ident="2606.00500")
    log.admit(
        open_policy(log.world),
        log.world.record_created(record, {**paper, "authors_text": text, "headline": text}),
        log.world.author(author_name="A. Author"),
    )
    database = open_sqlite(tmp_path / "projections.db", durable=False)
    create_projections(database)
    Runner(log.store, database).catch_up()
    assert replay(log.store, log.store.head().size) == state_digest(database)
    database.close()


@pytest.mark.parametrize("name", ['","registry":null,"signer":{"', "\U0001f4dc", '"', "x"])
@pytest.mark.parametrize("on_behalf", [False, True])
def test_the_parts_of_an_event_are_the_text_that_was_signed(name: str, on_behalf: bool) -> None:
    world = World()
    who = world.registry if on_behalf else None
    signer = {"who": who, "on_behalf_of": SESSION} if who else {}
    event = world.author(**signer, author_name=name, claims=[name])
    assert payload_text(event) == canonical.encode(event.value["payload"])
    assert signer_text(event) == canonical.encode(event.value["signer"])
