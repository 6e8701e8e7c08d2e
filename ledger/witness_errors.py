"""Why a witness will not cosign a checkpoint (C2SP tlog-witness); each class is one answer of the protocol."""

from __future__ import annotations

from ledger.errors import LedgerError


class WitnessRefusedError(LedgerError):
    """A witness will not cosign a checkpoint (C2SP tlog-witness); raise one of the children."""

    code = "witness-refused"


class MalformedRequestError(WitnessRefusedError):
    """The request is not of the protocol's form, or its old size is greater than its checkpoint's."""

    code = "malformed-request"
    default_cure = "send `old SIZE`, the proof's hashes in base64, an empty line and the signed checkpoint"


class UnknownLogError(WitnessRefusedError):
    """The witness does not follow the log that the checkpoint's origin names."""

    code = "unknown-log"
    default_cure = "ask the witness's operator to follow this log"


class LogSignatureError(WitnessRefusedError):
    """No key that is trusted for the log signed the checkpoint, or such a key's signature does not hold."""

    code = "log-signature"
    default_cure = "send the checkpoint as the log signed it, with a key that the witness was told of"


class SizeConflictError(WitnessRefusedError):
    """The old size is not that of the latest cosigned checkpoint; `known_size` is (0 for none)."""

    code = "size-conflict"
    default_cure = "prove consistency from the size that the witness knows"

    def __init__(self, message: str, known_size: int) -> None:
        super().__init__(message)
        self.known_size = known_size


class RootConflictError(WitnessRefusedError):
    """The witness cosigned another root for this size of the log: the log has shown two histories."""

    code = "root-conflict"
    default_cure = "compare what the log served to both: one of the two histories is false"


class InconsistentTreeError(WitnessRefusedError):
    """The proof does not show that the tree grew out of the one that was cosigned last."""

    code = "inconsistent-tree"
    default_cure = "send the consistency proof from the old size to the checkpoint's (RFC 6962, 2.1.2), in its order"


class WitnessClockError(WitnessRefusedError):
    """The witness's own clock cannot be right, so no time can be vouched for."""

    code = "witness-clock"
    default_cure = "set the witness's clock; until then it cosigns nothing"
    retryable = True
