"""Names, words and citations: finding a paper whatever it is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger import records
from ledger.database import Database, open_sqlite
from ledger.errors import AmbiguousError, InvalidFieldError, NotFoundError
from projections import queries
from projections.runner import Runner, create_projections
from tests.builders import BOB, NUMBER, a_record
from tests.logs import Log
from tests.projections.papers import confirmed_checkpoint, open_policy, regtest_policy

SUFFIX = NUMBER[10:]
TWINS = (213_515, 628_842)
"""Papers of the title `Twin NUMBER` whose suffixes share their first eight characters; found by trying."""


class Library:
    """A log with its projections, brought up to date after each addition."""

    def __init__(self, log: Log, database: Database) -> None:
        self.log, self.database = log, database

    def add(self, *events: Any) -> None:
        self.log.admit(*events)
        Runner(self.log.store, self.database).catch_up()

    def paper(self, title: str = "A Title", abstract: str = "", **source: Any) -> str:
        """Record a paper and return its number."""
        record, paper = a_record(title, abstract, **{"ident": "2606.00055", **source})
        texts = {**paper, "authors_text": "Émilie du Châtelet, Kurt Gödel"}
        self.add(self.log.world.record_created(record, texts))
        return records.identify(record).number

    def resolve(self, name: str) -> str:
        return queries.resolve(self.database, name).subject

    def choices(self, name: str) -> list[str]:
        with pytest.raises(AmbiguousError) as raised:
            queries.resolve(self.database, name)
        return raised.value.choices

    def search(self, words: str) -> list[str]:
        return [hit.subject for hit in queries.search(self.database, words)]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    database = open_sqlite(tmp_path / "projections.sqlite", durable=False)
    create_projections(database)
    found = Library(Log.opened(tmp_path), database)
    Runner(found.log.store, database).catch_up()
    yield found
    database.close()


# Numbers and their short forms.


@pytest.mark.parametrize(
    "name",
    [
        NUMBER,
        SUFFIX,
        *(SUFFIX[:length] for length in (8, 9, 12, 16, 25)),
        f"pith:{SUFFIX[:8]}",
        f"pith:{SUFFIX[:12]}",
        f"pith:2026:{SUFFIX[:16]}",
        SUFFIX[:8].lower(),
        f"  {NUMBER}  ",
    ],
)
def test_a_number_or_its_beginning_names_the_paper(library: Library, name: str) -> None:
    assert library.resolve(name) == NUMBER


@pytest.mark.parametrize("name", ["AAAAAAAA", SUFFIX[:7], SUFFIX + "A", "", "registry", "pith:registry:test.registry"])
def test_what_names_nothing_is_not_found(library: Library, name: str) -> None:
    with pytest.raises(NotFoundError):
        library.resolve(name)


def test_a_number_of_another_year_is_not_found(library: Library) -> None:
    with pytest.raises(NotFoundError):
        library.resolve(f"pith:1999:{SUFFIX}")


def test_a_beginning_that_two_papers_share_is_ambiguous(library: Library) -> None:
    twins = [library.paper(f"Twin {at}", ident="2606.00077") for at in TWINS]
    assert library.choices(twins[0][10:18]) == sorted(twins)


@pytest.mark.parametrize("prefix", ["", "pith:", "pith:2026:"])
def test_an_ambiguous_beginning_is_so_in_every_spelling(library: Library, prefix: str) -> None:
    twins = [library.paper(f"Twin {at}", ident="2606.00077") for at in TWINS]
    assert len(library.choices(f"{prefix}{twins[0][10:18]}")) == 2


def test_one_more_character_ends_the_ambiguity(library: Library) -> None:
    first, second = (library.paper(f"Twin {at}", ident="2606.00077") for at in TWINS)
    length = next(at for at in range(8, 26) if first[10 + at] != second[10 + at]) + 1
    assert library.resolve(first[10 : 10 + length]) == first


# Aliases.


@pytest.mark.parametrize(
    "name",
    [
        "2606.00001",
        "arXiv:2606.00001",
        "arxiv:2606.00001v1",
        "2606.00001v1",
        "https://arxiv.org/abs/2606.00001",
        "https://arxiv.org/pdf/2606.00001v1.pdf",
        "10.48550/arXiv.2606.00001",
        "10.48550/ARXIV.2606.00001",
        "doi:10.48550/arxiv.2606.00001",
        "https://doi.org/10.48550/arXiv.2606.00001",
        "https://dx.doi.org/10.48550%2FarXiv.2606.00001",
    ],
)
def test_an_alias_names_the_paper(library: Library, name: str) -> None:
    assert library.resolve(name) == NUMBER


def test_an_arxiv_id_without_version_names_the_greatest_version(library: Library) -> None:
    newest = library.paper(ident="2606.00001", version=10)
    library.paper("Second", ident="2606.00001", version=2)
    assert library.resolve("arxiv:2606.00001") == newest


def test_an_arxiv_id_without_version_links_the_other_versions(library: Library) -> None:
    third = library.paper(ident="2606.00001", version=3)
    second = library.paper("Second", ident="2606.00001", version=2)
    assert queries.resolve(library.database, "2606.00001") == queries.Named(third, (second, NUMBER))


def test_an_arxiv_id_with_version_names_that_version(library: Library) -> None:
    library.paper(ident="2606.00001", version=2)
    assert queries.resolve(library.database, "2606.00001v1") == queries.Named(NUMBER)


def test_a_version_that_is_not_there_is_not_found(library: Library) -> None:
    with pytest.raises(NotFoundError):
        library.resolve("2606.00001v9")


def test_an_added_alias_names_the_paper(library: Library) -> None:
    library.add(library.log.world.alias_added("acl", "P19-1234"))
    assert library.resolve("https://aclanthology.org/P19-1234/") == NUMBER


def test_a_doi_in_any_case_names_the_paper(library: Library) -> None:
    library.add(library.log.world.alias_added("doi", "10.1000/some.thing"))
    assert library.resolve("10.1000/Some.THING") == NUMBER


def test_a_doi_that_two_works_share_is_ambiguous(library: Library) -> None:
    other = library.paper(ident="2606.00077")
    library.add(library.log.world.alias_added("doi", "10.1000/1"))
    library.add(library.log.world.alias_added("doi", "10.1000/1", other))
    assert library.choices("10.1000/1") == sorted([NUMBER, other])


def test_a_doi_that_two_works_share_offers_the_newest_version_of_each(library: Library) -> None:
    newer, other = library.paper(ident="2606.00001", version=2), library.paper("Other", ident="2606.00077")
    for subject in (NUMBER, newer, other):
        library.add(library.log.world.alias_added("doi", "10.1000/1", subject))
    assert library.choices("10.1000/1") == sorted([newer, other])


# Words.


@pytest.fixture
def paper(library: Library) -> str:
    return library.paper("Über naïve Kettenbrüche", "On the decay of Poincaré's conjecture in so-called 3-manifolds.")


@pytest.mark.parametrize(
    "words",
    [
        "Kettenbrüche",
        "kettenbruche",
        "NAIVE",
        "über naïve",
        "poincaré",
        "Poincare decay",
        "du Chatelet",
        "godel",
        "gödel kettenbrüche",
        "so-called",
        "3-manifolds",
        "Poincaré's",
        "Go\u0308del",
        "Poincare\u0301",
    ],
)
def test_words_of_title_author_and_abstract_find_the_paper(library: Library, paper: str, words: str) -> None:
    assert library.search(words) == [paper]


@pytest.mark.parametrize("words", ["xylophone", "naive xylophone", "kett", "Kettenbrüche NOT naive"])
def test_every_word_must_be_there(library: Library, paper: str, words: str) -> None:
    assert library.search(words) == []


@pytest.mark.parametrize(
    "words",
    [
        'naive"',
        '"naive',
        "naive*",
        "naive(",
        ") naive",
        "^naive",
        "'naive' --",
        "naive;",
        "naive\x00",
    ],
)
def test_quotes_and_operators_are_harmless(library: Library, paper: str, words: str) -> None:
    assert library.search(words) == [paper]


@pytest.mark.parametrize("words", ["naive OR xylophone", "NEAR(naive xylophone)", "title: xylophone", "_ xylophone"])
def test_operators_are_words_like_others(library: Library, paper: str, words: str) -> None:
    assert library.search(words) == []


def test_a_very_long_query_is_harmless(library: Library, paper: str) -> None:
    assert library.search("naive " * 3_000) == [paper]


@pytest.mark.parametrize("words", ["", "   ", "+-*/", '"', "\u0301"])
def test_a_query_without_a_word_is_refused(library: Library, words: str) -> None:
    with pytest.raises(InvalidFieldError):
        library.search(words)


def test_an_updated_word_finds_the_paper(library: Library, paper: str) -> None:
    library.add(library.log.world.record_updated(paper, paper={"authors_text": "Maria Agnesi"}))
    assert library.search("agnesi") == [paper]


def test_a_word_that_was_updated_away_finds_nothing(library: Library, paper: str) -> None:
    library.add(library.log.world.record_updated(paper, paper={"authors_text": "Maria Agnesi"}))
    assert library.search("godel") == []


def test_a_hit_in_the_title_comes_first(library: Library) -> None:
    library.paper("Of Something", "It mentions lemurs.", ident="2606.00061")
    titled = library.paper("Of Lemurs", "It mentions nothing.", ident="2606.00062")
    assert library.search("lemurs")[0] == titled


def test_no_more_hits_come_than_were_asked_for(library: Library) -> None:
    for at in range(3):
        library.paper(f"Of Lemurs {at}", ident=f"2606.0006{at}")
    assert len(queries.search(library.database, "lemurs", limit=2)) == 2


# Citations.


@pytest.fixture
def other(library: Library) -> str:
    number = library.paper(ident="2606.00077")
    library.add(open_policy(library.log.world))
    return number


def cited(library: Library, subject: str) -> tuple[list[str], list[str]]:
    incoming, outgoing = queries.citations(library.database, subject)
    return [citation.citing for citation in incoming], [citation.cited for citation in outgoing]


def test_a_citation_by_number_is_found_from_both_ends(library: Library, other: str) -> None:
    library.add(library.log.world.citation(citing=other))
    assert (cited(library, NUMBER), cited(library, other)) == (([other], []), ([], [NUMBER]))


@pytest.mark.parametrize("citing", ["arxiv:2606.00077", "doi:10.48550/arxiv.2606.00077"])
def test_a_citation_by_another_name_is_found_from_both_ends(library: Library, other: str, citing: str) -> None:
    library.add(library.log.world.citation(citing=citing))
    assert (cited(library, NUMBER), cited(library, other)) == (([citing], []), ([], [NUMBER]))


def test_a_citation_by_a_name_learned_later_is_found(library: Library, other: str) -> None:
    library.add(library.log.world.citation(citing="acl:P19-1234"))
    library.add(library.log.world.alias_added("acl", "P19-1234", other))
    assert cited(library, other)[1] == [NUMBER]


def test_a_citation_carries_what_it_says(library: Library, other: str) -> None:
    citation = library.log.world.citation(citing=other, claim_id="C1")
    library.add(citation)
    found = queries.Citation(NUMBER, other, "supports", "C1", citation.id_text)
    assert queries.citations(library.database, NUMBER)[0] == [found]


def test_a_held_citation_is_not_listed(library: Library) -> None:
    library.add(library.log.world.citation())
    assert cited(library, NUMBER) == ([], [])


def test_a_withdrawn_citation_is_not_listed(library: Library, other: str) -> None:
    citation = library.log.world.citation(BOB, citing=other)
    library.add(citation)
    library.add(library.log.world.withdrawal(citation, BOB))
    assert (cited(library, NUMBER), cited(library, other)) == (([], []), ([], []))


# Records.


def test_an_unknown_number_has_no_record(library: Library) -> None:
    with pytest.raises(NotFoundError):
        queries.record(library.database, "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA", 0)


def test_a_number_of_another_year_has_no_record(library: Library) -> None:
    with pytest.raises(NotFoundError):
        queries.record(library.database, f"pith:1999:{SUFFIX}", 0)


def test_the_stored_record_joins_a_checkpoint_that_covers_it(library: Library) -> None:
    library.add(regtest_policy(library.log.world), confirmed_checkpoint(library.log.world, 9))
    found = queries.record(library.database, NUMBER, library.log.store.registry().anchored_size())
    assert msgspec.json.encode(found["attestation_state"]) == b'"anchored"'


def test_a_paper_has_no_record_as_of_before_it_was_recorded(library: Library) -> None:
    with pytest.raises(NotFoundError):
        queries.record_as_of(library.log.store, NUMBER, 8, library.log.store.registry())


def test_the_papers_are_counted(library: Library) -> None:
    library.paper()
    assert queries.count(library.database) == 2
