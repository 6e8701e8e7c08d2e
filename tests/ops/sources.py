"""What the importers read: small sources of every form, valid by default, so that a test states only its one change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.ops.homes import PUBLISHED, as_lines

RECORDS: Final = {
    record["canonical_record"]["source"]["id"]: record
    for record in map(
        json.loads, (Path(__file__).parents[1] / "vectors" / "pith" / "records.jsonl").read_text().splitlines()
    )
}
"""Records that the public registry has published, by their source's id."""

KAGGLE: Final = Path(__file__).with_name("arxiv_lines.jsonl").read_bytes().splitlines()
"""arXiv metadata (CC0) of papers whose numbers the public registry has published, in the snapshot's form."""

ENTRY: Final = """
<entry>
  <id>http://arxiv.org/abs/{ident}</id>
  <updated>2013-04-25T00:00:00Z</updated><published>2013-04-24T19:49:57Z</published>
  <title>{title}</title><summary>  {abstract}
</summary>
  <author><name>Robert Sanderson</name><arxiv:affiliation>LANL</arxiv:affiliation></author>
  <author><name>Paolo Ciccarese</name></author>
  <arxiv:doi>10.1145/2464464.2464474</arxiv:doi>
  <arxiv:comment>10 pages</arxiv:comment><arxiv:journal_ref>WebSci 2013</arxiv:journal_ref>
  <link href="http://creativecommons.org/licenses/by-nc-sa/3.0/" rel="license"/>
  <arxiv:primary_category term="cs.DL"/><category term="cs.DL"/><category term="H.5.4"/><category term="68T50"/>
</entry>"""

COLLECTION: Final = """<?xml version='1.0' encoding='UTF-8'?>
<collection id="{collection}">
  <volume id="{volume}" ingest-date="2020-06-21">
    <meta><booktitle>Proceedings of the 58th Meeting</booktitle>
      <publisher>Association for Computational Linguistics</publisher><month>{month}</month><year>{year}</year>
      <url hash="bdf5095c">2020.acl-main</url></meta>
    <frontmatter><url hash="5ccfe647">2020.acl-main.0</url></frontmatter>
    {papers}
  </volume>
</collection>"""

COACH: Final = """<paper id="3">
      <title><fixed-case>C</fixed-case>oach: A <i>Coarse</i>-to-Fine
        <tex-math>x^2</tex-math> Approach</title>
      <author><first>Grzegorz</first><last>Chrupała</last></author>
      <author orcid="0000-0002-1825-0097"><last>Plato</last></author>
      <pages>19-25</pages><abstract>We <b>propose</b> it.</abstract>
      <url hash="73fadd04">2020.acl-main.3</url><doi>10.18653/v1/2020.acl-main.3</doi>
      <revision id="2" hash="00">r</revision>
    </paper>"""


def written(folder: Path, content: bytes | list[Any]) -> Path:
    """Write a file of some content, or of lines; return its path."""
    path = folder / "papers"
    path.write_bytes(as_lines(content) if isinstance(content, list) else content)
    return path


def plain(**changes: Any) -> dict[str, Any]:
    """Return a plain line; `...` leaves a field out."""
    found: dict[str, Any] = {
        "source": "acl-anthology",
        "id": "acl:P18-1001",
        "title": "Probabilistic FastText",
        "abstract": "We introduce …",
        "authors": [{"given": "Ben", "family": "Athiwaratkun"}, {"name": "Andrew Wilson"}],
        "date": "2018-07",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
        **changes,
    }
    return {key: value for key, value in found.items() if value is not ...}


def kaggle(**changes: Any) -> dict[str, Any]:
    """Return a line of the arXiv snapshot; `...` leaves a field out."""
    found = {**json.loads(KAGGLE[0]), **changes}
    return {key: value for key, value in found.items() if value is not ...}


def atom(*entries: str) -> bytes:
    """Return an Atom feed as arXiv serves it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"'
        f' xmlns:arxiv="http://arxiv.org/schemas/atom"><title>ArXiv Query</title>{"".join(entries)}</feed>'
    ).encode()


def entry(ident: str = "1304.6709v1", **changes: str) -> str:
    found = json.loads(KAGGLE[0])
    fields = {"title": found["title"].replace(" ", "\n  ", 1), "abstract": found["abstract"].strip(), **changes}
    return ENTRY.format(ident=ident, **fields)


def collection(
    *papers: str, collection: str = "2020.acl", volume: str = "main", month: str = "July", year: str = "2020"
) -> bytes:
    """Return an ACL collection of one volume."""
    text = COLLECTION.format(collection=collection, volume=volume, month=month, year=year, papers="".join(papers))
    return text.encode()


def seed(**changes: Any) -> bytes:
    """Return a published record document; `...` leaves a part out."""
    document = {**json.loads(PUBLISHED[0].read_bytes()), **changes}
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def bundle(**changes: Any) -> bytes:
    """Return the public bundle of the same paper; `...` leaves a part out."""
    document = json.loads(PUBLISHED[0].read_bytes())
    record = {"canonical_record": document["canonical_record"], "canonical_sha256": document["canonical_sha256"]}
    found = {
        "bundle_type": "pith_open_graph_bundle",
        "bundle_version": "1.0",
        **{key: document[key] for key in ("pith_number", "short_pith_number", "source")},
        **record,
        "source_aliases": document["aliases"],
        "events": [
            {"event_type": "record_created", "target": "record", "payload": {**record, "receipt": document["receipt"]}},
            {
                "event_type": "graph_snapshot",
                "target": "graph",
                "payload": {"graph_snapshot": {**document["graph_snapshot"], "score": 1.5}},
            },
        ],
        **changes,
    }
    return json.dumps({key: value for key, value in found.items() if value is not ...}).encode()
