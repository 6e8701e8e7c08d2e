"""Copies in S3, against a real store that checks hashes and locks, and against servers that do nothing right."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from ledger.errors import LedgerError, NotFoundError, ServiceRefusedError, ServiceUnavailableError
from ops.services import Bucket
from ops.storage.s3 import S3Copies
from ops.storage.s3_transport import MAX_ANSWER_BYTES
from tests.ops.storage.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedFS, seaweed
from tests.ops.storage.strangers import Script, Send, answering, reply, stranger

CONTENT = b"%PDF-1.7 a paper\n" * 20_000
DIGEST = sha256(CONTENT).hexdigest()
OTHER = b"another paper"
KEY = f"pith/{DIGEST}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with seaweed(tmp_path_factory.mktemp("weed")) as found:
        yield found


def file(content: bytes = CONTENT) -> io.BytesIO:
    return io.BytesIO(content)


def refused(call: Callable[[], Any], error: type[LedgerError], match: str | None = None) -> LedgerError:
    with pytest.raises(error, match=match) as found:
        call()
    said = f"{found.value} {found.value!r} {found.value.__cause__!r}"
    assert SECRET_KEY not in said and ACCESS_KEY not in said and "Signature=" not in said
    assert len(str(found.value)) < 400 and str(found.value).isprintable()
    return found.value


# A real store.


def test_a_copy_is_put_under_its_hash_and_read_back(store: SeaweedFS) -> None:
    bucket = store.bucket()
    copies = S3Copies(bucket)
    url = copies.put(file(), DIGEST)
    assert url == f"s3://{bucket.bucket}/pith/{DIGEST}"
    into = io.BytesIO()
    found = copies.read(DIGEST, into)
    assert (found.url, found.bytes, found.sha256) == (url, len(CONTENT), DIGEST)
    assert into.getvalue() == CONTENT
    assert copies.digest_of(url) == DIGEST


def test_an_empty_file_is_a_copy_too(store: SeaweedFS) -> None:
    copies = S3Copies(store.bucket())
    empty = sha256(b"").hexdigest()
    copies.put(file(b""), empty)
    assert copies.read(empty).sha256 == empty


def test_a_file_is_put_whole_wherever_it_was_read_to(store: SeaweedFS) -> None:
    copies, given = S3Copies(store.bucket()), file()
    given.read()
    copies.put(given, DIGEST)
    assert copies.read(DIGEST).sha256 == DIGEST


def test_the_store_states_the_hash_that_it_checked(store: SeaweedFS) -> None:
    copies = S3Copies(store.bucket())
    copies.put(file(), DIGEST)
    stated = copies.head(DIGEST)
    assert (stated.bytes, stated.sha256, stated.locked_until) == (len(CONTENT), DIGEST, None)


def test_a_file_with_another_hash_is_refused_by_the_store(store: SeaweedFS) -> None:
    copies = S3Copies(store.bucket())
    refused(lambda: copies.put(file(OTHER), DIGEST), ServiceRefusedError, "BadDigest")
    refused(lambda: copies.head(DIGEST), NotFoundError)


def test_a_copy_that_is_there_is_put_again_without_harm(store: SeaweedFS) -> None:
    bucket = store.bucket(retain_days=1)
    copies = S3Copies(bucket)
    assert copies.put(file(), DIGEST) == copies.put(file(), DIGEST)
    assert len(store.client().list_object_versions(Bucket=bucket.bucket)["Versions"]) == 1


def test_nothing_is_written_over(store: SeaweedFS) -> None:
    bucket = store.bucket(lock=False)
    store.client().put_object(Bucket=bucket.bucket, Key=KEY, Body=OTHER, ChecksumAlgorithm="SHA256")
    copies = S3Copies(bucket)
    refused(lambda: copies.put(file(), DIGEST), ServiceRefusedError, "another content")
    assert copies.read(DIGEST).sha256 == sha256(OTHER).hexdigest()


@pytest.mark.parametrize("content", [CONTENT, OTHER], ids=["the content", "another"])
def test_what_stands_there_without_a_stated_hash_is_read_and_compared(store: SeaweedFS, content: bytes) -> None:
    bucket = store.bucket(lock=False)
    store.client().put_object(Bucket=bucket.bucket, Key=KEY, Body=content)
    copies = S3Copies(bucket)
    if content == CONTENT:
        assert copies.put(file(), DIGEST) == copies.url(DIGEST)
    else:
        refused(lambda: copies.put(file(), DIGEST), ServiceRefusedError, "another content")


def test_a_locked_copy_cannot_be_deleted(store: SeaweedFS) -> None:
    bucket = store.bucket(retain_days=3)
    copies, now = S3Copies(bucket), datetime.now(UTC)
    copies.put(file(), DIGEST)
    until = copies.is_locked_until(DIGEST)
    assert until is not None and timedelta(days=2) < until - now < timedelta(days=4)
    raw = store.client()
    (version,) = raw.list_object_versions(Bucket=bucket.bucket)["Versions"]
    with pytest.raises(ClientError, match="AccessDenied"):
        raw.delete_object(Bucket=bucket.bucket, Key=KEY, VersionId=version["VersionId"])
    with pytest.raises(ClientError, match="AccessDenied"):
        raw.delete_object(Bucket=bucket.bucket, Key=KEY, VersionId=version["VersionId"], BypassGovernanceRetention=True)
    assert copies.read(DIGEST).sha256 == DIGEST


def test_the_lock_ends_as_many_days_from_the_clock_as_asked_for(store: SeaweedFS) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)
    copies = S3Copies(store.bucket(retain_days=20), clock=lambda: int(start.timestamp()) * 1_000_000)
    copies.put(file(), DIGEST)
    assert copies.is_locked_until(DIGEST) == start + timedelta(days=20)


def test_a_bucket_without_locks_takes_no_copy_that_is_to_be_locked(store: SeaweedFS) -> None:
    copies = S3Copies(store.bucket(retain_days=1, lock=False))
    refused(lambda: copies.put(file(), DIGEST), ServiceRefusedError)


def test_a_copy_that_others_put_without_a_lock_is_not_taken_for_locked(store: SeaweedFS) -> None:
    bucket = store.bucket(retain_days=1)
    S3Copies(replace(bucket, retain_days=0)).put(file(), DIGEST)
    refused(lambda: S3Copies(bucket).put(file(), DIGEST), ServiceRefusedError, "not locked")


def test_a_tampered_copy_has_another_hash(store: SeaweedFS) -> None:
    bucket = store.bucket()
    copies = S3Copies(bucket)
    copies.put(file(), DIGEST)
    store.client().put_object(Bucket=bucket.bucket, Key=KEY, Body=OTHER)
    assert copies.read(DIGEST).sha256 == sha256(OTHER).hexdigest()


def test_a_deleted_copy_is_missing_and_can_be_put_again(store: SeaweedFS) -> None:
    bucket = store.bucket()
    copies = S3Copies(bucket)
    copies.put(file(), DIGEST)
    store.client().delete_object(Bucket=bucket.bucket, Key=KEY)
    assert refused(lambda: copies.read(DIGEST), NotFoundError).place == copies.url(DIGEST)
    refused(lambda: copies.head(DIGEST), NotFoundError)
    copies.put(file(), DIGEST)
    assert copies.read(DIGEST).sha256 == DIGEST


def test_a_bucket_that_is_not_there_says_nothing_about_a_copy(store: SeaweedFS) -> None:
    copies = S3Copies(replace(store.bucket(), bucket="no-such-bucket"))
    refused(lambda: copies.read(DIGEST), ServiceRefusedError, "NoSuchBucket")


@pytest.mark.parametrize("changes", [{"secret_key": "another"}, {"access_key": "another"}])
def test_credentials_that_do_not_count_are_refused(store: SeaweedFS, changes: dict[str, str]) -> None:
    copies = S3Copies(replace(store.bucket(), **changes))  # type: ignore[arg-type]
    refused(lambda: copies.read(DIGEST), ServiceRefusedError)
    refused(lambda: copies.put(file(), DIGEST), ServiceRefusedError)


def test_a_copy_longer_than_allowed_is_not_read_to_its_end(store: SeaweedFS) -> None:
    bucket = store.bucket()
    S3Copies(bucket).put(file(), DIGEST)
    short = S3Copies(bucket, max_bytes=len(CONTENT) - 1)
    refused(lambda: short.read(DIGEST), ServiceRefusedError, "more than")
    assert S3Copies(bucket, max_bytes=len(CONTENT)).read(DIGEST).bytes == len(CONTENT)


def test_a_store_that_went_down_is_unavailable(tmp_path: Path) -> None:
    with seaweed(tmp_path) as store:
        copies = S3Copies(store.bucket())
        copies.put(file(), DIGEST)
    for call in (lambda: copies.read(DIGEST), lambda: copies.head(DIGEST), lambda: copies.put(file(), DIGEST)):
        assert refused(call, ServiceUnavailableError).retryable


# Servers that do nothing right.


def bucket_at(port: int) -> Bucket:
    return Bucket("bad", f"http://127.0.0.1:{port}", "copies", "us-east-1", ACCESS_KEY, SECRET_KEY)


def asked(script: Script, seconds: float = 60) -> Iterator[Callable[[], Any]]:
    """Yield each request of a client to a server that follows a script."""
    with stranger(script) as server:
        copies = S3Copies(bucket_at(server.port), max_bytes=1_000_000, seconds=seconds)
        yield lambda: copies.read(DIGEST)
        yield lambda: copies.head(DIGEST)
        # Short enough to be taken before it is answered.
        yield lambda: copies.put(file(OTHER), sha256(OTHER).hexdigest())


def error(code: str, status: int) -> Script:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{SECRET_KEY} {ACCESS_KEY}</Message></Error>"
    return answering(text.encode(), status, "content-type: application/xml")


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("TooMany", 429), ("X", 409)])
def test_a_store_in_trouble_is_asked_again_later(code: str, status: int) -> None:
    for call in asked(error(code, status)):
        refused(call, ServiceUnavailableError)


@pytest.mark.parametrize(
    "code", ["AccessDenied", "Access\u202eDenied", "x" * 5_000, f"{ACCESS_KEY}&lt;{SECRET_KEY}&gt;", "&#10;&#27;[31m"]
)
def test_what_a_store_says_is_quoted_only_if_it_is_a_plain_code(code: str) -> None:
    for call in asked(error(code, 403)):
        said = str(refused(call, ServiceRefusedError))
        assert "403" in said or "AccessDenied" in said


@pytest.mark.parametrize("content", [b"", b"<html>it works</html>", b"\xff\xfe\x00", b"<Error><Code>"])
def test_a_404_that_no_store_says_is_no_loss(content: bytes) -> None:
    with stranger(answering(content, 404)) as server:
        refused(lambda: S3Copies(bucket_at(server.port)).read(DIGEST), ServiceRefusedError)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with stranger(answering(CONTENT)) as other:
        headers = (f"location: {other.at('127.0.0.1')}", "x-amz-bucket-region: eu-north-1")
        for call in asked(answering(b"", status, *headers)):
            refused(call, ServiceRefusedError, "redirects")
        assert other.asked == []


@pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationHeaderMalformed", "NoSuchUpload"])
@pytest.mark.parametrize("headers", [(), ("x-amz-bucket-region: eu-north-1",)])
def test_a_store_that_sends_us_in_circles_is_left(code: str, headers: tuple[str, ...]) -> None:
    text = f"<Error><Code>{code}</Code><Region>eu-north-1</Region><Endpoint>127.0.0.1:9</Endpoint></Error>"
    with stranger(answering(text.encode(), 400, "content-type: application/xml", *headers)) as server:
        copies = S3Copies(bucket_at(server.port))
        refused(lambda: copies.read(DIGEST), ServiceRefusedError)
        refused(lambda: copies.head(DIGEST), ServiceRefusedError)
        assert len(server.asked) < 10


def endless(head: bytes, part: bytes, pause: float = 0) -> Script:
    def script(_: str, send: Send) -> None:
        send(head)
        while True:
            send(part)
            time.sleep(pause)

    return script


CHUNKED = b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
CHUNK = b"10000\r\n" + bytes(0x10000) + b"\r\n"


def test_a_copy_that_never_ends_is_cut_off() -> None:
    with stranger(endless(b"HTTP/1.1 200 OK\r\n" + CHUNKED, CHUNK)) as server:
        copies = S3Copies(bucket_at(server.port), max_bytes=1_000_000)
        refused(lambda: copies.read(DIGEST), ServiceRefusedError, "more than 1000000 bytes")


def test_an_error_that_never_ends_is_cut_off() -> None:
    with stranger(endless(b"HTTP/1.1 500 Oh\r\n" + CHUNKED, CHUNK)) as server:
        copies = S3Copies(bucket_at(server.port))
        for call in (lambda: copies.read(DIGEST), lambda: copies.put(file(b"a"), sha256(b"a").hexdigest())):
            refused(call, ServiceRefusedError, f"more than {MAX_ANSWER_BYTES} bytes")


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED, b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"x-more: of the same\r\n"),
        (b"", b""),
    ],
    ids=["body", "head", "nothing"],
)
def test_a_store_that_drips_is_given_up_after_its_time(head: bytes, part: bytes) -> None:
    with stranger(endless(head, part, 0.05)) as server:
        copies = S3Copies(bucket_at(server.port), seconds=1)
        refused(lambda: copies.read(DIGEST), ServiceUnavailableError)


def test_a_copy_that_is_cut_short_is_no_copy() -> None:
    with stranger(answering(CONTENT, length=len(CONTENT) + 1)) as server:
        refused(lambda: S3Copies(bucket_at(server.port)).read(DIGEST), ServiceUnavailableError)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        reply(b"", 200, "x-amz-object-lock-retain-until-date: yesterday"),
        reply(b"", 200, "last-modified: never"),
        reply(b"", 204),
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_garbage_is_no_answer_about_a_copy(answer: bytes) -> None:
    with stranger(lambda _, send: send(answer)) as server:
        copies = S3Copies(bucket_at(server.port))
        try:
            found = copies.read(DIGEST)
        except LedgerError as error:
            assert isinstance(error, ServiceUnavailableError | ServiceRefusedError)
        else:
            assert found.sha256 == sha256(b"").hexdigest()  # an empty body is what it is: changed, as its hash says


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://copies/",
        f"s3://copies/{DIGEST}",
        f"s3://other/pith/{DIGEST}",
        f"s3://copies/pith/{DIGEST}/x",
        f"s3://copies/pith/../{DIGEST}",
        f"https://copies/pith/{DIGEST}",
        f"s3://copies/pith/{DIGEST.upper()}",
        f"s3://copies/pith/{DIGEST}\n",
    ],
)
def test_a_location_that_is_none_of_this_bucket_is_no_copy(url: str) -> None:
    assert S3Copies(bucket_at(1)).digest_of(url) is None


def test_a_client_shows_no_credentials() -> None:
    copies = S3Copies(bucket_at(1))
    assert SECRET_KEY not in repr(copies) and SECRET_KEY not in repr(bucket_at(1))


def test_the_environment_does_not_decide_who_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor the settings of other programs that use such services."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with stranger(answering(CONTENT)) as server:
        assert S3Copies(bucket_at(server.port)).read(DIGEST).sha256 == DIGEST
        assert len(server.asked) == 1


def test_the_library_is_loaded_only_when_a_bucket_is_used() -> None:
    code = "import sys, ops.storage.s3; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
