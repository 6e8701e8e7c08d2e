"""What no honest client sends: heads, addresses, values, headers and bodies that were meant to break a server."""

from __future__ import annotations

import gzip
import json
from typing import Final

HUGE: Final = 9 * 1024 * 1024

HEADS: Final[dict[str, bytes]] = {
    "no request": b"\r\n\r\n\x00\x01\x02\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /checkpoint\r\n\r\n",
    "bare newlines": b"GET /checkpoint HTTP/1.1\nhost: x\n\n",
    "no host": b"GET /checkpoint HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    "a host with spaces": b"GET /checkpoint HTTP/1.1\r\nhost: a b\r\n\r\n",
    "a host with a path": b"GET /checkpoint HTTP/1.1\r\nhost: evil/../x\r\n\r\n",
    "a host with markup": b"GET /checkpoint HTTP/1.1\r\nhost: <script>\r\n\r\n",
    "a method of no kind": b"FOO /checkpoint HTTP/1.1\r\nhost: x\r\n\r\n",
    "a method in lower case": b"get /checkpoint HTTP/1.1\r\nhost: x\r\n\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "trace": b"TRACE /checkpoint HTTP/1.1\r\nhost: x\r\n\r\n",
    "options of all": b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    "no path": b"GET ?q=1 HTTP/1.1\r\nhost: x\r\n\r\n",
    "raw bytes in the path": b"GET /pith/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    "a newline in the path": b"GET /pith/a\nb HTTP/1.1\r\nhost: x\r\n\r\n",
    "a long path": b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "a header without colon": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nnonsense\r\n\r\n",
    "a space before the colon": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nx-a : b\r\n\r\n",
    "a folded header": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n",
    "nul in a header": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nx-a: b\x00c\r\n\r\n",
    "a carriage return in a header": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nx-a: b\rc: d\r\n\r\n",
    "many headers": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\n" + b"x-a: b\r\n" * 5_000 + b"\r\n",
    "a long header": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nx-a: " + b"b" * 70_000 + b"\r\n\r\n",
    "two lengths": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}",
    "two equal lengths": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "a list of lengths": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2, 2\r\n\r\n{}",
    "a signed length": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: +2\r\n\r\n{}",
    "a negative length": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}",
    "a length in hex": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: 0x2\r\n\r\n{}",
    "a length beyond all": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 30 + b"\r\n\r\n{}",
    "length and chunks": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /checkpoint HTTP/1.1\r\nhost: x\r\n\r\n",
    "chunks twice": b"POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    b"transfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks of another name": b"POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks of chunks": b"POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "compressed chunks": b"POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a chunk of no size": b"POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    b"xyz\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond all": b"POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"f" * 17
    + b"\r\n",
    "a body too long": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % HUGE,
    "two types": b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
    "two authorizations": b"GET /checkpoint HTTP/1.1\r\nhost: x\r\n"
    b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
}
"""Requests as they go over the wire; none of them may be answered with anything but a refusal."""

SEGMENTS: Final = (
    *(
        "%00",
        "a%00",
        "%0d%0ax-injected:%201",
        "%0a",
        "%1b[2J",
        "%7f",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "..%5c..",
        "..;",
        ";",
    ),
    *("%c0%ae%c0%ae", "%c0%af", "%e0%80%af", "%ff", "%fe%fe", "%ed%a0%80", "%f4%90%80%80", "%f0%9f%92%a9", "%u0041"),
    *("%", "%2", "%zz", "%25%32%65", "*", "~", "+", "&", "=", "a=b", "'", "%27%20OR%201=1--", "%22", "%3Cscript%3E"),
    *("%7B%7B7*7%7D%7D", "$%7Bx%7D", "-1", "0x10", "1e999", "NaN", "null", "true", "[]", "%D9%A3%D9%A3", "%E2%80%AE"),
    *(
        "sha256:",
        "sha256:" + "0" * 64,
        "sha256:" + "g" * 64,
        "SHA256:" + "0" * 64,
        "0" * 64,
        "f" * 65,
        "A" * 26,
        "a" * 26,
    ),
    *(
        "a" * 3_000,
        "%C3%A9" * 500,
        "a" * 9_000,
        ".json",
        "..json",
        ".",
        "con",
        "nul.json",
        "index.html",
        ".git",
        ".env",
    ),
)
"""Put into the place of each part of an address that may vary; none of them names anything."""

VALUES: Final = (
    *(
        "",
        "-1",
        "-2",
        "1e999",
        "NaN",
        "Infinity",
        "0x10",
        "1_000",
        "+1",
        "%201",
        "1.5",
        "9" * 400,
        str(2**63),
        str(2**64),
    ),
    *(
        "%D9%A3",
        "null",
        "true",
        "[]",
        "{}",
        "a",
        "%00",
        "%0d%0ax-injected:%201",
        "%ff",
        "%ed%a0%80",
        "%c0%ae",
        "%",
        "%zz",
    ),
    *(
        "%27%20OR%201=1--",
        "%22",
        "%25",
        "_",
        "*",
        '%22%20OR%20%22"',
        "NEAR(a%20b)",
        "a*",
        "-a",
        "%3Cscript%3E",
        "../../x",
    ),
    *(
        "2026-02-30T00:00:00Z",
        "0000-00-00",
        "9999-12-31T23:59:60Z",
        "2026-01-01T00:00:00%2B99:99",
        "http://[",
        "a" * 5_000,
    ),
)
"""Given to each parameter of a query."""

HEADERS: Final[tuple[dict[str, str], ...]] = (
    {"accept": "*/*;q=nan"},
    {"accept": ",".join(["text/html;level=1"] * 500)},
    {"accept": "\xff\xfe"},
    {"accept": "image/png"},
    {"accept-encoding": "gzip;q=999999999999999999999, " * 100},
    {"accept-encoding": "\x80"},
    {"accept-language": "x" * 5_000},
    {"range": "bytes=0-"},
    {"range": "bytes=-1,0-0,5-2," + "1-2," * 1_000},
    {"range": "lines=1"},
    {"if-range": '"x"', "range": "bytes=5-"},
    {"if-none-match": '"' * 5_000},
    {"if-none-match": 'W/"' + "a-gzip" * 1_000},
    {"if-modified-since": "yesterday"},
    {"if-match": "*"},
    {"authorization": "Bearer"},
    {"authorization": "Bearer " + "a" * 5_000},
    {"authorization": "Basic ////"},
    {"authorization": 'Pith-Key key_id="x", created="x", nonce="x", signature="x"'},
    {
        "authorization": 'Pith-Key key_id="'
        + "0" * 64
        + '", created="2026-01-01T00:00:00Z", nonce="AAAAAAAAAAAAAAAAAAAAAA"'
    },
    {"authorization": "\x80\x81"},
    {"cookie": "pith-session=" + "a" * 5_000},
    {"cookie": "__Host-pith-session=\xff; =; ;;;; a"},
    {"cookie": "; ".join(f"c{number}=1" for number in range(800))},
    {"content-type": "application/json; charset=utf-16"},
    {"content-type": "multipart/form-data"},
    {"content-type": "\xff"},
    {"content-encoding": "gzip"},
    {"last-event-id": "-5"},
    {"last-event-id": "1e9"},
    {"last-event-id": "\x80"},
    {"x-forwarded-for": "<script>, 127.0.0.1", "x-forwarded-proto": "javascript", "x-forwarded-host": "evil.example"},
    {"forwarded": "for=_hidden;host=evil.example"},
    {"host": "evil.example:99999"},
    {"host": "[::1"},
    {"x-http-method-override": "DELETE"},
    {"x-request-id": "a" * 5_000},
    {"hx-request": "true", "hx-target": "<script>", "hx-current-url": "javascript:alert(1)"},
    {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-key": "x", "sec-websocket-version": "13"},
    {"upgrade": "h2c", "connection": "upgrade, http2-settings", "http2-settings": "AAMAAABkAAQCAAAAAAIAAAAA"},
    {"connection": "x-a, close", "te": "trailers, deflate"},
    {"expect": "200-ok"},
    {"idempotency-key": "a" * 5_000},
    {"idempotency-key": "\x80"},
    {"origin": "null"},
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
)

_DEEP: Final = 100_000
JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
FORM: Final = "application/x-www-form-urlencoded"


def _event(text: str) -> bytes:
    return b'{"schema":"pith-event/1","event_type":"citation_signature","payload":' + text.encode() + b"}"


BODIES: Final[tuple[tuple[str, bytes], ...]] = (
    *(
        (JSON, text)
        for text in (b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[{}]", b"{", b"}", b'{"a"}', b"{,}")
    ),
    *(
        (JSON, text)
        for text in (b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32"), b'{"\xff":1}')
    ),
    *(
        (JSON, text)
        for text in (b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b'{"a":"\x00"}', b"\x00", b"\xff")
    ),
    *(
        (JSON, text)
        for text in (
            b'{"a":1,"a":2}',
            b'{"event":{},"event":{}}',
            b"{'a':1}",
            b"{/*a*/}",
            b'{"a":1,}',
            b"{} {}",
            b"{}x",
        )
    ),
    *(
        (JSON, _event(text))
        for text in ("1e999", "NaN", "-Infinity", "-0", "1.0", "1E2", "9" * 400, str(2**53), "01", "0x1", "+1")
    ),
    (JSON, b"[" * _DEEP + b"]" * _DEEP),
    (JSON, b"[" * _DEEP),
    (JSON, b'{"a":' * _DEEP + b"1" + b"}" * _DEEP),
    (JSON, b'{"event":' + b"[" * _DEEP + b"]" * _DEEP + b"}"),
    (JSON, json.dumps({"a": "x" * 200_000}).encode()),
    (JSON, json.dumps({f"key {number}": number for number in range(20_000)}).encode()),
    (JSON, json.dumps([0] * 200_000).encode()),
    (JSON, json.dumps({"__proto__": {"a": 1}, "constructor": {"prototype": {}}}).encode()),
    (
        JSON,
        json.dumps({"schema": ["pith-event/1"], "event_type": {}, "payload": [], "signer": 7, "nonce": None}).encode(),
    ),
    (
        JSON,
        json.dumps(
            {"event": {"schema": "pith-event/1"}, "disclosures": {"payload.quote": {"salt": "x", "text": 1}}}
        ).encode(),
    ),
    (JSON, gzip.compress(b"0" * 1_000_000)),
    (LINES, b"\n\n\n"),
    (LINES, b"{}\n" * 2_000),
    (LINES, b"{}\nnull\n[]\n\xff\n"),
    (LINES, b"[" * _DEEP + b"\n{}\n"),
    (LINES, b"{}\r{}\x0b{}\x1c{}\xe2\x80\xa8{}"),
    (FORM, b""),
    (FORM, b"a=1&a=2&" * 5_000),
    (FORM, b"%ff=%00&=&&%"),
    (FORM, b"event=%7B%7D&kind=anonymous&consent=on"),
    ("multipart/form-data", b"--x--"),
    (
        "multipart/form-data; boundary=x",
        b"--x\r\ncontent-disposition: form-data; name=a; filename=../../b\r\n\r\n1\r\n--x--",
    ),
    ("multipart/form-data; boundary=" + "x" * 200, b"--x"),
    ("text/plain", b"{}"),
    ("application/json; charset=utf-16", '{"a":1}'.encode("utf-16")),
    ("application/msgpack", b"\xdf\xff\xff\xff\xff"),
    ("application/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    ("x" * 5_000, b"{}"),
    ("", b"{}"),
)
"""Content type and body; none of them is a whole request to any address."""

METHODS: Final = ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "MKCOL", "LOCK", "SEARCH", "PURGE", "LINK", "QUERY")
