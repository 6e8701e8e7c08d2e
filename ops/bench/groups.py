"""What is compared with what: the groups of rows, each measured in turns within its group.

A row names a contestant and one of the cases its program answers, and says what a reader must know to compare:
what is on the disk when the call returns, and what was checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ops.bench.results import Kind

WAL_FULL: Final = "on disk (SQLite, WAL + FULL)"
PG: Final = "on disk (PostgreSQL, fsync)"
JOURNAL: Final = "on disk (SQLite, rollback journal + FULL)"
NOTHING: Final = "nothing checked"
EVERY: Final = "every signature and rule checked, in the Merkle tree"
OTHERS_SIGN: Final = "hash chain; it signs each entry itself, verifies nobody's signature"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Args:
        first: operations in the first, uncounted sample; from it follows how many make one of the wanted length.
        most: no sample does more operations than this; 0 for a case that always does all of something.
        step: operations come in multiples of this.
        kind: where it is another than its contestant's.
        beside: the key of our row that is compared with this one; by default the first of the group.
    """

    key: str
    title: str
    contestant: str
    case: str
    note: str
    first: int = 30
    most: int = 20_000
    step: int = 1
    kind: Kind | None = None
    beside: str = ""

    @property
    def is_whole(self) -> bool:
        return self.most == 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A group to be measured; in a contest the first row is ours, and compared with each of the others."""

    name: str
    title: str
    unit: str
    rows: Sequence[Row]
    is_contest: bool = True


ONE: Final = Plan(
    "one",
    "Append, one event a call, one caller",
    "events/s",
    (
        Row("ours", "pith, SQLite", "pith on SQLite", "append one", f"{WAL_FULL}; {EVERY}"),
        Row("ours-pg", "pith, PostgreSQL", "pith on PostgreSQL", "append one", f"{PG}; {EVERY}"),
        Row("commit", "bare sqlite3 commit of 1 kB", "bare", "commit", WAL_FULL),
        Row("es", "eventsourcing, SQLite", "eventsourcing on SQLite", "append one", f"{WAL_FULL}; {NOTHING}"),
        Row("es-pg", "eventsourcing, PostgreSQL", "eventsourcing on PostgreSQL", "append one", f"{PG}; {NOTHING}"),
        Row("umadb", "UmaDB", "UmaDB", "append one", f"on disk (two fdatasync); over gRPC; {NOTHING}"),
        Row("hypercore", "hypercore", "hypercore", "append one", "not on disk; Merkle tree, signs its head itself"),
        Row("pymerkle", "pymerkle, SQLite", "pymerkle in SQLite", "append one", f"{JOURNAL}; leaf hash only"),
        Row("emmett", "emmett, SQLite", "emmett on SQLite", "append one", f"SQLite, WAL + default; {NOTHING}"),
        Row("emmett-pg", "emmett, PostgreSQL", "emmett on PostgreSQL", "append one", f"{PG}; {NOTHING}"),
        Row("plc", "did-plc, HTTP", "did-plc", "append one", f"{PG}; every signature checked (secp256k1)"),
        Row("auditchain", "auditchain", "auditchain", "append one", f"{JOURNAL}; {OTHERS_SIGN}"),
        Row("nexuscone", "nexuscone", "nexuscone", "append one", f"{JOURNAL}; {OTHERS_SIGN}"),
        Row("provara", "provara-protocol", "provara-protocol", "append one", f"SQLite, WAL + NORMAL; {OTHERS_SIGN}"),
        Row("tamperlog", "tamperlog", "tamperlog", "append one", "a file, no fsync; leaf hash only"),
    ),
)

TOGETHER: Final = Plan(
    "together",
    "Append, one event a call, 16 callers at once",
    "events/s",
    (
        Row("ours", "pith, SQLite", "pith on SQLite", "append together", f"{WAL_FULL}; {EVERY}", 160),
        Row("ours-pg", "pith, PostgreSQL", "pith on PostgreSQL", "append together", f"{PG}; {EVERY}", 160),
        Row("hypercore", "hypercore", "hypercore", "append together", "not on disk; Merkle tree, signs its head", 160),
        Row("hypercore-one", "hypercore, one caller", "hypercore", "append one", "not on disk; the same", 160),
        Row("es", "eventsourcing, SQLite", "eventsourcing on SQLite", "append together", f"{WAL_FULL}; {NOTHING}", 160),
        Row(
            "es-pg",
            "eventsourcing, PostgreSQL",
            "eventsourcing on PostgreSQL",
            "append together",
            f"{PG}; {NOTHING}",
            160,
        ),
        Row("umadb", "UmaDB", "UmaDB", "append together", f"on disk; over gRPC; {NOTHING}", 160),
        Row("emmett-pg", "emmett, PostgreSQL", "emmett on PostgreSQL", "append together", f"{PG}; {NOTHING}", 64),
        Row("plc", "did-plc, HTTP", "did-plc", "append together", f"{PG}; every signature checked", 32),
    ),
)

BULK: Final = Plan(
    "bulk",
    "Append in bulk, 1,000 events a transaction",
    "events/s",
    (
        Row("ours", "pith, SQLite", "pith on SQLite", "append bulk", f"{WAL_FULL}; {EVERY}", 6_000, 40_000, 1_000),
        Row("ours-pg", "pith, PostgreSQL", "pith on PostgreSQL", "append bulk", f"{PG}; {EVERY}", 6_000, 40_000, 1_000),
        Row("verify-all", "bare PyNaCl, all cores", "bare", "verify on all cores", "the same signatures, nothing else"),
        Row("verify-one", "bare PyNaCl, one core", "bare", "verify on one core", "the same signatures, nothing else"),
        Row("es", "eventsourcing, SQLite", "eventsourcing on SQLite", "append bulk", f"{WAL_FULL}; {NOTHING}", 2_000),
        Row(
            "es-pg",
            "eventsourcing, PostgreSQL",
            "eventsourcing on PostgreSQL",
            "append bulk",
            f"{PG}; {NOTHING}",
            2_000,
            20_000,
            1_000,
        ),
        Row("umadb", "UmaDB", "UmaDB", "append bulk", f"on disk; over gRPC; {NOTHING}", 2_000, 40_000, 1_000),
        Row("hypercore", "hypercore", "hypercore", "append bulk", "not on disk; Merkle tree", 2_000, 40_000, 1_000),
        Row("pymerkle", "pymerkle, SQLite", "pymerkle in SQLite", "append bulk", f"{JOURNAL}; leaf hash only", 2_000),
        Row(
            "emmett-pg",
            "emmett, PostgreSQL",
            "emmett on PostgreSQL",
            "append bulk",
            f"{PG}; 100 a call; {NOTHING}",
            500,
        ),
        Row("auditchain", "auditchain", "auditchain", "append bulk", f"{JOURNAL}; {OTHERS_SIGN}", 500, 5_000),
    ),
)

REPLAY: Final = Plan(
    "replay",
    "Replay of a log into what is current",
    "events/s",
    (
        Row("ours", "pith, all: every signature and rule", "pith", "replay all", "projections in SQLite", most=0),
        Row("signers", "pith, signers: contributors' signatures", "pith", "replay signers", "projections", most=0),
        Row("checkpoint", "pith, checkpoint: tree only", "pith", "replay checkpoint", "projections", most=0),
        Row("verify-all", "bare PyNaCl, all cores", "bare", "verify on all cores", "the same signatures, nothing else"),
        Row("es", "eventsourcing, SQLite", "eventsourcing on SQLite", "pull", f"into a dict; {NOTHING}", most=0),
        Row(
            "es-pg",
            "eventsourcing, PostgreSQL",
            "eventsourcing on PostgreSQL",
            "pull",
            f"into a dict; {NOTHING}",
            most=0,
        ),
        Row(
            "es-runner",
            "eventsourcing, its projection runner",
            "eventsourcing on PostgreSQL",
            "follow",
            f"into memory; {NOTHING}",
            most=0,
        ),
        Row("umadb", "UmaDB, bytes only", "UmaDB", "read", f"read in order; {NOTHING}", most=0),
        Row("hypercore", "hypercore, bytes only", "hypercore", "read", f"read in order; {NOTHING}", most=0),
        Row("emmett", "emmett, SQLite", "emmett on SQLite", "follow", f"into a Map; {NOTHING}", most=0),
        Row("emmett-pg", "emmett, PostgreSQL", "emmett on PostgreSQL", "follow", f"into a Map; {NOTHING}", most=0),
    ),
)

AUDIT: Final = Plan(
    "audit",
    "Audit: a whole log checked again",
    "events/s",
    (
        Row("ours", "pith audit", "pith", "audit", "every byte, signature, rule, tile, checkpoint and view", most=0),
        Row("hypercore", "hypercore", "hypercore", "audit", "every block and tree node hashed, no signature", most=0),
        Row("auditchain", "auditchain", "auditchain", "verify", "hash chain and signatures", most=0),
        Row("nexuscone", "nexuscone", "nexuscone", "verify", "hash chain and signatures", most=0),
        Row("provara", "provara-protocol", "provara-protocol", "verify", "hash chain and signatures", most=0),
        Row("tamperlog", "tamperlog", "tamperlog", "verify", "leaf hashes only", most=0),
    ),
)

READ: Final = Plan(
    "read",
    "Reading one paper",
    "reads/s",
    (
        Row("ours", "pith, the record as it is now", "pith", "view", "document of ten events, with verdicts, as JSON"),
        Row("as-of", "pith, as of a position", "pith", "as of", "folded and judged anew from its entries"),
        Row("es", "eventsourcing, SQLite", "eventsourcing on SQLite", "get", "one aggregate of one event"),
        Row("es-pg", "eventsourcing, PostgreSQL", "eventsourcing on PostgreSQL", "get", "one aggregate of one event"),
        Row("umadb", "UmaDB", "UmaDB", "by tag", "the events of one tag, over gRPC"),
        Row("hypercore", "hypercore", "hypercore", "get", "one block by its position"),
        Row("plc", "did-plc, HTTP", "did-plc", "get", "document of one operation, its chain verified"),
    ),
)

PROOFS: Final = Plan(
    "proofs",
    "Inclusion proofs",
    "proofs/s",
    (
        Row("ours", "pith, made", "pith", "prove", "from tiles in SQLite"),
        Row("verify", "pith, verified", "pith", "verify proof", "offline", beside="verify"),
        Row("hashes", "bare SHA-256 of 17 nodes", "bare", "hash paths", "what verifying consists of", beside="verify"),
        Row("pymerkle", "pymerkle in SQLite, made", "pymerkle in SQLite", "prove", "subtree roots cached"),
        Row("pymerkle-memory", "pymerkle in memory, made", "pymerkle in memory", "prove", "subtree roots cached"),
        Row("pymerkle-verify", "pymerkle, verified", "pymerkle in memory", "verify proof", "offline", beside="verify"),
        Row("hypercore", "hypercore, made and verified", "hypercore", "prove and verify", "by an empty peer", 100),
        Row("auditchain", "auditchain, made", "auditchain", "prove", "reads the whole log", 1, 50),
        Row("tamperlog", "tamperlog, made", "tamperlog", "prove", "computes the tree anew", 1, 500),
    ),
)

HTTP: Final = Plan(
    "http",
    "Over HTTP, 32 connections, the load on the same machine",
    "answers/s",
    (
        Row("submit", "pith, an event submitted", "pith over HTTP", "submit", f"{WAL_FULL}; {EVERY}; receipt", 500),
        Row("parse", "bare route that parses the same body", "pith over HTTP", "parse", NOTHING, 500, kind="limit"),
        Row("record", "pith, a record's document", "pith over HTTP", "record", "as JSON", 500, 60_000, beside="record"),
        Row(
            "known",
            "pith, 304 for it",
            "pith over HTTP",
            "known",
            "the reader has it already",
            500,
            60_000,
            beside="known",
        ),
        Row(
            "bytes",
            "bare route that returns its bytes",
            "pith over HTTP",
            "bytes",
            "from memory",
            500,
            60_000,
            kind="limit",
            beside="record",
        ),
    ),
)

LIMITS: Final = Plan(
    "limits",
    "What the machine can do",
    "operations/s",
    (
        Row("verify-one", "PyNaCl verification, one core", "bare", "verify on one core", "1.1 signatures an event"),
        Row("verify-all", "PyNaCl verification, all cores", "bare", "verify on all cores", "1.1 signatures an event"),
        Row("parse", "pith, an event parsed from its bytes", "pith", "parse", "canonical form and id checked"),
        Row("hash", "SHA-256 of 1 kB", "bare", "hash events", "one core", 10_000, 1_000_000),
        Row("commit", "sqlite3 commit of 1 kB", "bare", "commit", WAL_FULL),
    ),
    is_contest=False,
)

_STEPPED: Final = "pith, step by step"

STEPS: Final = Plan(
    "steps",
    "Where the time goes: one event, step by step, in processor time",
    "events/s of one core",
    (
        Row("parse", "both: read from its bytes", _STEPPED, "parse", "canonical form, fields and id checked", 500),
        Row("verify", "append: signatures and form checked", _STEPPED, "verify", "1.1 signatures an event", 500),
        Row("cross", "append: from worker to writer", _STEPPED, "cross", "packed and unpacked", 500),
        Row("write", "append: the writer", _STEPPED, "write", "judged, inserted, in the tree, on disk", 2_000),
        Row("insert", "append: rows alone", _STEPPED, "insert", "the part of the writer that is SQLite's", 2_000),
        Row("leaf", "both: its leaf hashed", _STEPPED, "leaf", "SHA-256 of entry and prefix", 500),
        Row("rows", "replay: its row read", _STEPPED, "rows", "in order, a page at a time", 500),
        Row(
            "stored",
            "replay: read from stored bytes",
            _STEPPED,
            "parse stored",
            "canonical form and id checked",
            500,
        ),
        Row("fold", "replay: papers folded and judged", _STEPPED, "fold", "ten events a paper", 1_000),
        Row("digest", "replay: rows and state digest", _STEPPED, "digest", "all projections of a paper", 1_000),
        Row("bare", "bare PyNaCl, one core", "bare", "verify in processor time", "the same signatures, nothing else"),
    ),
    is_contest=False,
)

PLANS: Final[Sequence[Plan]] = (LIMITS, ONE, TOGETHER, BULK, REPLAY, AUDIT, READ, PROOFS, HTTP, STEPS)
GROWTH: Final = "growth"
NAMES: Final = (*(plan.name for plan in PLANS), GROWTH)
