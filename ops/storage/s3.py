"""Copies in an S3 bucket: written once under the hash of their content, locked if asked for, hashed again when read.

A copy's key is `pith/` and its SHA-256, so that one content has one place and nothing else belongs there. It is put
with `If-None-Match: *` (nothing is written over), with its SHA-256 for the service to check (`x-amz-checksum-sha256`),
and, where copies are to be kept, with an object lock in compliance mode, which not even the account's owner can lift.
What the service states of a copy is its word; what was read and hashed here is not.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import IO, Any, Final

from ledger.appending import Clock
from ledger.errors import NotFoundError, ServiceRefusedError, ServiceUnavailableError
from ledger.notes import decode_base64
from ops.home import now
from ops.services import Bucket, Fetched
from ops.storage.s3_transport import PIECE_BYTES, send

DEADLINE_SECONDS: Final = 300.0
MAX_COPY_BYTES: Final = Fetched().max_bytes

_PREFIX: Final = "pith/"
_KEY: Final = re.compile(r"pith/([0-9a-f]{64})")
_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,60}")
_GONE: Final = 404
_TAKEN: Final = 412
_LATER: Final = (408, 409, 429)
_REDIRECTS: Final = range(300, 400)
_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Stated:
    """What the service says of a copy: its length, its SHA-256 in hex if it has one, and until when it is locked."""

    url: str
    bytes: int
    sha256: str | None
    locked_until: datetime | None


@dataclass(frozen=True, slots=True)
class Read:
    """What was read: the length, and the SHA-256 (hex) computed here."""

    url: str
    bytes: int
    sha256: str


class S3Copies:
    """The copies in one bucket. Every call ends by its deadline; errors name the bucket and never its credentials.

    Args:
        max_bytes: how long a copy can be that is read.
        seconds: how long one request may take in all.
    """

    def __init__(
        self,
        bucket: Bucket,
        clock: Clock = now,
        max_bytes: int = MAX_COPY_BYTES,
        seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._max_bytes = max_bytes
        self._seconds = seconds

    def url(self, digest: str) -> str:
        """Return the location of the copy with this SHA-256 (hex)."""
        return f"s3://{self._bucket.bucket}/{_PREFIX}{digest}"

    def digest_of(self, url: str) -> str | None:
        """Return the SHA-256 (hex) of the content whose copy has this location; None for any other location."""
        prefix = f"s3://{self._bucket.bucket}/"
        found = _KEY.fullmatch(url.removeprefix(prefix)) if url.startswith(prefix) else None
        return found[1] if found else None

    def put(self, file: IO[bytes], digest: str) -> str:
        """Put a file under its SHA-256 (hex) unless it is there already; returns its location.

        Raises:
            ServiceUnavailableError: the service cannot be had now.
            ServiceRefusedError: it refuses (such as a file with another hash), holds something else in this place, or
                did not lock what is to be locked.
        """
        file.seek(0)
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        locking: dict[str, Any] = {}
        if self._bucket.retain_days > 0:
            until = datetime.fromtimestamp(self._clock() // 1_000_000, UTC) + timedelta(days=self._bucket.retain_days)
            locking = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        is_new = True
        try:
            self._ask(
                "put_object", digest, Body=file, ContentType=_TYPE, ChecksumSHA256=checksum, IfNoneMatch="*", **locking
            )
        except _TakenError:
            is_new = False
        stated = self.head(digest)
        if not is_new and (stated.sha256 or self.read(digest).sha256) != digest:
            raise ServiceRefusedError(
                "another content stands where this copy belongs",
                place=stated.url,
                cure="look who else writes into this bucket: its keys under pith/ are for the registry alone",
            )
        if locking and stated.locked_until is None:
            raise ServiceRefusedError(
                "the copy is there and not locked",
                place=stated.url,
                cure="make the bucket with object lock, or set retain_days to 0",
            )
        return stated.url

    def head(self, digest: str) -> Stated:
        """Return what the service says of a copy.

        Raises:
            NotFoundError: there is none, or no such bucket, which an answer without a body cannot tell apart.
            ServiceUnavailableError, ServiceRefusedError: it does not say.
        """
        found = self._ask("head_object", digest, ChecksumMode="ENABLED")
        raw = decode_base64(str(found.get("ChecksumSHA256", "")))
        is_locked = found.get("ObjectLockMode") == "COMPLIANCE"
        return Stated(
            self.url(digest),
            found["ContentLength"],
            raw.hex() if len(raw) == 32 else None,
            found.get("ObjectLockRetainUntilDate") if is_locked else None,
        )

    def read(self, digest: str, into: IO[bytes] | None = None) -> Read:
        """Read the copy that should have this SHA-256 and hash what comes, which is for the caller to compare.

        Args:
            into: takes the content too.

        Raises:
            NotFoundError: there is none.
            ServiceUnavailableError: it cannot be had whole now.
            ServiceRefusedError: the service refuses, or sends more than a copy can have.
        """
        content, length = sha256(), 0
        answer = self._ask("get_object", digest)
        with answer["Body"] as body:
            while piece := body.read(PIECE_BYTES):
                content.update(piece)
                length += len(piece)
                if into is not None:
                    into.write(piece)
        if length != answer["ContentLength"]:
            raise ServiceUnavailableError("what it sends is cut off", place=self.url(digest))
        return Read(self.url(digest), length, content.hexdigest())

    def is_locked_until(self, digest: str) -> datetime | None:
        """Return until when a copy cannot be deleted by anybody, None where it can; raises as `head` does."""
        return self.head(digest).locked_until

    @property
    def _place(self) -> str:
        return f"s3://{self._bucket.bucket} ({self._bucket.name})"

    @cached_property
    def _client(self) -> Any:
        # Imported here so that no command waits for it that stores nothing.
        import boto3  # type: ignore[import-untyped]
        from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
        from botocore.session import Session  # type: ignore[import-untyped]

        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},  # whoever has work to do comes again, and knows when
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent="pith-ledger",
        )
        # Another program's settings on this machine, and its profiles, say nothing about this bucket.
        nothing = (None, None, os.devnull, None)
        elsewhere: dict[str, tuple[Any, ...]] = {"config_file": nothing, "credentials_file": nothing}
        elsewhere["profile"] = (None, None, None, None)
        session = boto3.session.Session(botocore_session=Session(session_vars=elsewhere))
        client = session.client(
            "s3",
            endpoint_url=self._bucket.endpoint,
            region_name=self._bucket.region,
            aws_access_key_id=self._bucket.access_key,
            aws_secret_access_key=self._bucket.secret_key,
            config=config,
        )

        def bounded(request: Any, **_: Any) -> Any:
            received = send(request, self._max_bytes, self._seconds, self._place)
            if received.status in _REDIRECTS:
                # The library would look for the bucket elsewhere, and not find an end where each place names another.
                received.close()
                cure = "give the endpoint and the region that the bucket is in"
                raise ServiceRefusedError(f"it redirects (status {received.status})", place=self._place, cure=cure)
            return AWSResponse(request.url, received.status, received.headers, received)

        client.meta.events.register("before-send.s3", bounded)
        return client

    def _ask(self, operation: str, digest: str, **arguments: Any) -> Any:
        """Return the answer about one copy, whatever goes wrong in our own words."""
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
        from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

        try:
            call = getattr(self._client, operation)
            answer = call(Bucket=self._bucket.bucket, Key=f"{_PREFIX}{digest}", **arguments)
            if operation != "put_object" and not isinstance(answer.get("ContentLength"), int):
                raise ValueError("the answer has no length")
        except ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            stated = str(error.response.get("Error", {}).get("Code", ""))
            code = stated if _CODE.fullmatch(stated) else f"status {status}"
        except (BotoCoreError, ResponseParserError, ValueError, KeyError) as error:
            reason = f"it answers, or was given, what cannot be read ({type(error).__name__})"
            raise ServiceRefusedError(reason, place=self._place) from None
        else:
            return answer
        # Outside the handler, as an error's text can repeat what the request was signed with.
        if status == _TAKEN and operation == "put_object":
            raise _TakenError
        if code == "NoSuchKey" or (status == _GONE and operation == "head_object"):
            raise NotFoundError("there is no such copy", place=self.url(digest), cure="")
        if status >= 500 or status in _LATER:
            raise ServiceUnavailableError(f"it cannot {operation.replace('_', ' ')} now ({code})", place=self._place)
        raise ServiceRefusedError(f"it does not {operation.replace('_', ' ')} ({code})", place=self._place)


class _TakenError(Exception):
    """A put found something in its place."""
