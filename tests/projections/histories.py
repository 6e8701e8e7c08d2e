"""Long histories of several papers, made by chance from a seed: every event type, in no friendly order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ledger import records
from ledger.appending import Appended
from ledger.events import MODERATED, Event
from ledger.times import seconds
from tests.builders import (
    ALICE,
    CHECKER,
    HASH,
    MODERATOR,
    NUMBER,
    SESSION,
    SHA256,
    Who,
    World,
    a_record,
    contributor,
    key,
    secret,
)
from tests.logs import Log, history, samples
from tests.projections.papers import (
    authors,
    confirmed_anchor,
    confirmed_checkpoint,
    open_policy,
    regtest_policy,
    strict_policy,
)

CAROL: Final = contributor("carol", "orcid:0000-0002-1694-233X")
DAVE: Final = contributor("dave")
CAROL_NEXT: Final = Who(key("carol's next key"), "contributor", CAROL.signer_id)
IMPOSTOR: Final = contributor("impostor", CAROL.signer_id)
OTHERS: Final = tuple(a_record(f"Paper {at}", f"Abstract {at}", ident=f"2606.0010{at}") for at in (1, 2))
NUMBERS: Final = (NUMBER, *(records.identify(record).number for record, _ in OTHERS))


class Chance:
    """A log that grows by random statements; what the log refuses is simply not said."""

    def __init__(self, folder: Path, seed: int, length: int) -> None:
        self.chance = random.Random(seed)
        self.log = Log.empty(folder)
        self.world = self.log.world
        self.payloads = {kind: event.value["payload"] for kind, event in samples(World()).items()}
        self.said: list[Event] = []
        self.who: dict[str, Who] = {who.key.key_id: who for who in (ALICE, CAROL, CAROL_NEXT, DAVE, IMPOSTOR)}
        self.second_receipt = Who(key("second receipt key"), "pith_registry", self.world.receipt.signer_id)
        self.second_event = Who(key("second event key"), "pith_registry", self.world.registry.signer_id)
        self.log.append(*history(self.world))
        self._open()
        for _ in range(length):
            self._step()

    def _open(self) -> None:
        first, second = OTHERS
        self.log.append(
            self.world.registration(self.second_event, "event", by=self.world.registry),
            self.world.registration(self.second_receipt, "receipt", by=self.world.registry),
            *map(self.world.registration, (CAROL, DAVE, IMPOSTOR)),
            self.world.record_created(*first, receipt_key=self.second_receipt.key),
            self.world.record_created(*second),
        )

    def _step(self) -> None:
        self.log.clock.advance(self.chance.randrange(3))
        makers = [self._attest, self._attest, self._judge, self._registry, self._outside, self._keys]
        for event in self.chance.choice(makers)():
            (outcome,) = self.log.append(event)
            if isinstance(outcome, Appended) and event.event_type in MODERATED and event.subject in NUMBERS:
                self.said.append(event)

    def _attest(self) -> Iterator[Event]:
        pick = self.chance.choice
        kind = pick(["author_attestation", "citation_signature", "replication_record"])
        changes: dict[str, dict[str, Any]] = {
            "author_attestation": {"author_name": pick(["Carol", "C."]), "author_position": pick([1, 2])},
            "citation_signature": {
                "citing": pick([*NUMBERS, "arxiv:2606.00101", "doi:10.1000/1"]),
                "relationship": pick(["supports", "refutes", "cites"]),
            },
            "replication_record": {
                "outcome": pick(["reproduced", "not_reproduced"]),
                "artefacts": [{"url": "https://example.org/run", "sha256": pick([HASH, SHA256])}],
            },
        }
        payload = {**self.payloads[kind], **changes[kind]}
        subject = pick(NUMBERS)
        if self.chance.random() < 0.2:
            yield self.world.event(self._registrar(), kind, payload, subject=subject, on_behalf_of=SESSION)
        else:
            yield self.world.event(pick(list(self.who.values())), kind, payload, subject=subject)

    def _judge(self) -> Iterator[Event]:
        if not self.said:
            return
        target = self.chance.choice(self.said)
        about = {"subject": target.subject, "target": target.id_text}
        match self.chance.choice(["decide", "decide", "withdraw", "challenge"]):
            case "decide":
                decision = {"decision": self.chance.choice(["accepted", "rejected", "redacted"])}
                yield self.world.event(MODERATOR, "moderation_decision", decision, **about)
            case "withdraw":
                who = self.who.get(target.signer.key_id, DAVE)
                yield self.world.event(who, "withdrawal", {}, **about)
            case _:
                kind = self.chance.choice(["challenge", "challenge_response"])
                yield self.world.event(self.chance.choice([CAROL, DAVE]), kind, self.payloads["challenge"], **about)

    def _registry(self) -> Iterator[Event]:
        pick, subject = self.chance.choice, self.chance.choice(NUMBERS)
        references = {"references": {"count": 2, "resolved_work": pick([1, 2])}}
        made: list[Callable[[], Event]] = [
            lambda: self.world.record_updated(subject, paper=authors(pick([None, CAROL.signer_id[6:]]))),
            lambda: self.world.record_updated(subject, paper={"authors_text": pick(["Carol", "C., Carol"])}),
            lambda: self.world.graph_snapshot(subject, graph_snapshot=references),
            lambda: self.world.alias_added("doi", f"10.1000/{pick('123')}", subject),
            lambda: self.world.event(
                self.world.registry,
                "identity_evidence",
                {**self.payloads["identity_evidence"], "identifier": CAROL.signer_id} | {"key_id": CAROL.key.key_id},
            ),
            lambda: self.world.about("integrity_finding", self.payloads["integrity_finding"], subject),
        ]
        yield pick(made)()

    def _outside(self) -> Iterator[Event]:
        pick = self.chance.choice
        seen = {"grade": "fetched", "outcome": pick(["stored", "missing", "changed"])}
        location = {"kind": "https", "url": f"https://example.org/{pick('ab')}"}
        storage = {**self.payloads["storage_attestation"], **seen, "location": location}
        made: list[Callable[[], Event]] = [
            lambda: self.world.event(CHECKER, "storage_attestation", storage, subject=pick(NUMBERS)),
            lambda: confirmed_anchor(self.world),
            lambda: confirmed_checkpoint(self.world, self.chance.randrange(60)),
            lambda: self.world.anchor(),
        ]
        yield pick(made)()

    def _keys(self) -> Iterator[Event]:
        pick, world = self.chance.choice, self.world
        since = pick([None, seconds(self.log.clock.now - self.chance.randrange(20) * 1_000_000)])
        weights: dict[Callable[[], Event], int] = {
            lambda: open_policy(world): 6,
            lambda: regtest_policy(world, checkers=pick([[], [CHECKER.key.key_id], [HASH]])): 3,
            lambda: strict_policy(world): 2,
            lambda: world.policy(matching={"orcid": False, "email": True}): 2,
            lambda: world.proof_of_identity(pick([CAROL, CAROL_NEXT, DAVE])): 6,
            lambda: world.rotation(CAROL, CAROL_NEXT): 2,
            lambda: world.revocation(pick([DAVE, CAROL_NEXT, IMPOSTOR]), by=world.registry, compromised_from=since): 2,
            lambda: world.revocation(MODERATOR, by=world.registry, compromised_from=since): 1,
            lambda: world.revocation(CHECKER, by=world.registry, compromised_from=since): 1,
            lambda: world.revocation(self.second_event, by=world.registry, compromised_from=since): 1,
            lambda: world.revocation(self.second_receipt, by=world.registry, compromised_from=since): 1,
            lambda: world.registration(contributor(f"newcomer-{self.chance.random()}")): 1,
        }
        yield self.chance.choices(list(weights), list(weights.values()))[0]()

    def _registrar(self) -> Who:
        return self.chance.choice([self.world.registry, self.second_event])


def eventful(folder: Path, seed: int, length: int = 80) -> Log:
    """Return a log of three papers that holds every event type, then what chance adds."""
    return Chance(folder, seed, length).log


def touching_old_papers(folder: Path) -> Log:
    """Return a log in which the registry's stream changes, long after, what each earlier paper counts.

    Papers, statements and decisions come first; then keys are revoked, an identity is proven and trust is
    withdrawn, so that whoever folds step by step must look at papers about which nothing new was said.
    """
    log = Log.opened(folder)
    world = log.world
    second_event = Who(key("second event key"), "pith_registry", world.registry.signer_id)
    second_receipt = Who(key("second receipt key"), "pith_registry", world.receipt.signer_id)
    (first, first_paper), (second, second_paper) = OTHERS
    log.admit(
        world.registration(second_event, "event", by=world.registry),
        world.registration(second_receipt, "receipt", by=world.registry),
        world.registration(CAROL),
        world.record_created(first, first_paper, receipt_key=second_receipt.key),
        regtest_policy(world),
    )
    claim, rejected = world.author(CAROL), world.author(author_name="A. Rejected")
    log.admit(claim, rejected, world.author_identity(CAROL.signer_id), world.storage(CHECKER, grade="fetched"))
    log.admit(world.citation(CAROL, citing=NUMBERS[1]), confirmed_anchor(world), world.decision(rejected, "accepted"))
    log.admit(
        world.event(
            second_event,
            "record_created",
            world.record_created(second, second_paper).value["payload"],
            subject=NUMBERS[2],
        )
    )
    log.admit(world.event(second_event, "alias_added", {"alias_kind": "doi", "alias_value": "10.1000/1"}))
    log.clock.advance(60)
    for event in (
        world.proof_of_identity(CAROL),
        world.policy(checkers=[HASH]),
        world.revocation(MODERATOR, by=world.registry, compromised_from="2026-06-19T16:00:00Z"),
        world.revocation(second_receipt, by=world.registry, compromised_from="2026-06-19T16:00:00Z"),
        world.revocation(second_event, by=world.registry, compromised_from="2026-06-19T16:00:00Z"),
        world.revocation(CAROL, by=world.registry, compromised_from="2026-06-19T16:00:00Z"),
        world.event(
            world.registry,
            "key_revoked",
            {"key_id": CHECKER.key.key_id, "compromised_from": "2026-06-19T16:00:00Z", "reason": secret("lost")},
        ),
    ):
        log.admit(event)
    return log
