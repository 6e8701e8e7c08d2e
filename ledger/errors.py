"""Every error of the product, on one page (why a witness will not cosign: `witness_errors`).

Each class has a stable `code` (used in `--json` output and problem types), and each instance says
what is wrong (`message`), where (`place`, a path such as `payload.paper.title`) and what to do
about it (`cure`). Errors are told apart by whose fault they are:

* `SubmissionError`: the submitter's. Nothing of the event was stored; sending it again unchanged
  gives the same error.
* `VerificationError`: something that claims to be proven is not; `step` names the check that failed.
* `WitnessRefusedError`: whoever asked a witness for a cosignature; each child is one answer of the protocol.
* `ServiceError`: a service's that the registry asked for something.
* `StoreError`, `ProjectionError`, `UnfitVerifierError`: ours or the machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class LedgerError(Exception):
    """Root of the tree; raise one of its children."""

    code: ClassVar[str] = "ledger-error"
    default_cure: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, place: str = "", cure: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.cure = self.default_cure if cure is None else cure

    def __str__(self) -> str:
        where = f" (at {self.place})" if self.place else ""
        what_to_do = f"; {self.cure}" if self.cure else ""
        return f"{self.message}{where}{what_to_do}"

    def facts(self) -> dict[str, str]:
        """Return the error as plain strings, for JSON output and problem details."""
        found = {"error": self.code, "message": self.message, "place": self.place, "cure": self.cure}
        return {name: value for name, value in found.items() if value}


class UsageError(LedgerError):
    """The command or setting cannot be carried out as given."""

    code = "usage"


class SubmissionError(LedgerError):
    """The submitter's fault: nothing of the event is stored."""

    code = "submission"


# --- the bytes -----------------------------------------------------------------------------


class MalformedError(SubmissionError):
    """The bytes are not what a signed event may be made of."""

    code = "malformed"


class NotJsonError(MalformedError):
    code = "not-json"
    default_cure = "send one JSON object in UTF-8, without a byte order mark"


class DuplicateKeyError(MalformedError):
    code = "duplicate-key"
    default_cure = "give each key of an object once"


class FloatError(MalformedError):
    code = "float"
    default_cure = "signed values hold no fractions or exponents: send an integer or a string"


class IntegerRangeError(MalformedError):
    code = "integer-range"
    default_cure = "integers lie within ±(2^53-1): send larger ones as strings"


class LoneSurrogateError(MalformedError):
    code = "lone-surrogate"
    default_cure = "send valid Unicode: every \\ud800-\\udfff escape needs its partner"


class TooDeepError(MalformedError):
    code = "too-deep"
    default_cure = "nest objects and lists less deeply"


class TooLargeError(MalformedError):
    code = "too-large"
    default_cure = "make the event smaller: publish long content elsewhere and give its hash"


class NotCanonicalError(MalformedError):
    """Stored bytes differ from their own canonical form (RFC 8785)."""

    code = "not-canonical"


# --- the envelope and payload --------------------------------------------------------------


class MissingFieldError(MalformedError):
    code = "missing-field"


class UnknownFieldError(MalformedError):
    code = "unknown-field"
    default_cure = "remove the field, or check its spelling"


class InvalidFieldError(MalformedError):
    """A field has the wrong type, form or value."""

    code = "invalid-field"


class UnknownTypeError(MalformedError):
    code = "unknown-type"


class EventIdMismatchError(SubmissionError):
    code = "event-id-mismatch"
    default_cure = 'event_id is "sha256:" and the hex SHA-256 of the canonical body; sign the event again'


class CommitmentMismatchError(SubmissionError):
    code = "commitment-mismatch"
    default_cure = "a disclosed text and its 32-byte salt must hash to the commitment in the event"


# --- identity of the paper -----------------------------------------------------------------


class NumberMismatchError(SubmissionError):
    code = "number-mismatch"
    default_cure = "the suffix is base32(SHA-256 of the canonical record)[:26], the year that of submitted_at"


class HashMismatchError(SubmissionError):
    """A stated SHA-256 is not that of the content it stands beside."""

    code = "hash-mismatch"


class TextMismatchError(SubmissionError):
    code = "text-mismatch"
    default_cure = "title and abstract must hash to the canonical record's title_canon_sha256 and abstract_canon_sha256"


# --- keys and signatures -------------------------------------------------------------------


class WeakKeyError(SubmissionError):
    code = "weak-key"
    default_cure = "small-order and non-canonical Ed25519 keys are refused: make a new key with `pith keygen`"


class SignatureInvalidError(SubmissionError):
    code = "signature-invalid"
    default_cure = "the signature does not belong to these bytes and this key; sign the event again"


class KeyNotValidError(SubmissionError):
    """The key may not sign this here and now; raise one of its children."""

    code = "key-not-valid"


class UnknownKeyError(KeyNotValidError):
    code = "unknown-key"
    default_cure = "register the key first: `pith sign key_registered --key FILE | pith append -`"


class KeyExpiredError(KeyNotValidError):
    code = "key-expired"
    default_cure = "sign with a key that is valid now; `pith sign key_rotated` introduces a successor"


class KeyRevokedError(KeyNotValidError):
    code = "key-revoked"
    default_cure = "sign with a key that was not revoked"


class KeyRoleError(KeyNotValidError):
    code = "key-role"
    default_cure = "each key has one role; sign with a key registered for this one"


class SignerMismatchError(SubmissionError):
    code = "signer-mismatch"
    default_cure = "the signer block must repeat what the key's registration says"


class SignerNotAllowedError(SubmissionError):
    """This kind of signer may not make this statement."""

    code = "signer-not-allowed"


# --- the log's rules -----------------------------------------------------------------------


class RuleViolationError(SubmissionError):
    """The event is well formed and signed, but can never count in this log."""

    code = "rule-violation"


class ForeignRegistryError(RuleViolationError):
    code = "foreign-registry"
    default_cure = "this statement was made for another registry; sign one that names this registry"


class ForeignLogError(RuleViolationError):
    """What belongs to one log of a registry was brought to another of its logs."""

    code = "foreign-log"
    default_cure = "hand it in at the log that it was made for"


class RecordMissingError(RuleViolationError):
    code = "record-missing"
    default_cure = "the paper has no record here yet: import it first"


class TargetMissingError(RuleViolationError):
    code = "target-missing"
    default_cure = "the event it speaks about is not in this log under this subject"


class RecordExistsError(RuleViolationError):
    code = "record-exists"
    default_cure = "a record is created once; append record_updated instead"


class ClockSkewError(RuleViolationError):
    code = "clock-skew"
    default_cure = "created_at lies in the future: set the signer's clock"


# --- outside proofs ------------------------------------------------------------------------


class AnchorError(SubmissionError):
    """A timestamp proof does not prove what it claims."""

    code = "anchor"


class AnchorMalformedError(AnchorError):
    code = "anchor-malformed"


class AnchorMismatchError(AnchorError):
    """The proof is about other bytes, or does not lead to the stated block or token."""

    code = "anchor-mismatch"


class AnchorUntrustedError(AnchorError):
    """The proof holds, but not under the roots, networks or work that policy accepts."""

    code = "anchor-untrusted"


# --- reading and checking ------------------------------------------------------------------


class NotFoundError(LedgerError):
    code = "not-found"
    default_cure = "look it up with `pith find TEXT`"


class AmbiguousError(LedgerError):
    """A short form names several records; `choices` lists their Pith Numbers."""

    code = "ambiguous"
    default_cure = "give more characters of the suffix"

    def __init__(self, message: str, choices: list[str], *, place: str = "", cure: str | None = None) -> None:
        super().__init__(message, place=place, cure=cure)
        self.choices = choices


class OtherLogError(LedgerError):
    """Another log of the registry, which may hold what was asked for, cannot be read here now."""

    code = "other-log"
    default_cure = "ask again later, or ask where that log is served"
    retryable = True


class SourceUnreadableError(LedgerError):
    """What a log publishes cannot be had from an address or folder now; nothing is said about the log."""

    code = "source-unreadable"
    default_cure = "check the address and that it can be reached, then try again"
    retryable = True


class ServiceError(LedgerError):
    """A service of others (a timestamp service, an archive, a node) did not do what it was asked for."""

    code = "service"


class ServiceUnavailableError(ServiceError):
    """It cannot be reached, is overloaded or broken; asking again later can help."""

    code = "service-unavailable"
    retryable = True


class ServiceRefusedError(ServiceError):
    """It refused, or answered what cannot be used; asking the same again brings the same."""

    code = "service-refused"


class VerificationError(LedgerError):
    """A check failed; `step` names it (canonical form, number, signature, key validity, …)."""

    code = "verification"

    def __init__(self, step: str, message: str, *, place: str = "", cure: str | None = None) -> None:
        super().__init__(message, place=place, cure=cure)
        self.step = step

    def __str__(self) -> str:
        return f"{self.step}: {super().__str__()}"

    def facts(self) -> dict[str, str]:
        return {"step": self.step, **super().facts()}


class ForkError(VerificationError):
    """A log signed two histories; `evidence` is the file that proves it to anybody."""

    code = "fork"
    default_cure = "keep the evidence and show it to others who use this log; `pith verify` accepts it"

    def __init__(self, message: str, evidence: Mapping[str, Any], *, place: str = "") -> None:
        super().__init__("consistency", message, place=place)
        self.evidence = evidence


class UnfitVerifierError(LedgerError):
    """The installed library judges signatures by another rule than the log's, so nothing may be judged with it."""

    code = "unfit-verifier"
    default_cure = "install the PyNaCl that comes with its own libsodium: pip install --force-reinstall 'pynacl==1.6.2'"


class CosigningError(LedgerError):
    """A witness was asked to cosign our checkpoint, and what came back is no cosignature that holds."""

    code = "cosigning"


class StoreError(LedgerError):
    """The database cannot do what the ledger needs."""

    code = "store"


class LeaseLostError(StoreError):
    """Somebody else has taken over the work; nothing of what this worker was about to write is written."""

    code = "lease-lost"
    default_cure = "nothing is lost: whoever holds the lease does the work"
    retryable = True


class LogCorruptedError(StoreError):
    """What the log holds contradicts itself; stop appending."""

    code = "log-corrupted"
    default_cure = "stop writing, keep the files and run `pith audit`"


class ProjectionError(LedgerError):
    """A projection cannot go on; the log is untouched."""

    code = "projection"
    default_cure = "run `pith rebuild`"


class ProjectionBehindError(ProjectionError):
    """The projections have not read so far yet."""

    code = "projection-behind"
    default_cure = "ask again in a moment"
    retryable = True
