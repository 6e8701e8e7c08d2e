"""Proving an e-mail address: a letter with a code that works once, for a quarter of an hour, for one key.

Every address is answered alike, whether anybody reads there or not. The code is kept under the registry's secret, and
every try is counted before it is looked at.
"""

from __future__ import annotations

import base64
import hmac
import re
import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from api.identity.evidence import Proven, check_same_person, email_identifier, prove
from api.identity.refusals import UnavailableError, WrongCodeError
from api.identity.tables import LETTERS, SENDINGS
from api.parts import Parts
from api.private import derive
from api.problems import NotOfferedError, TooManyRequestsError
from api.settings import MailServer
from ledger.errors import InvalidFieldError
from ledger.keyring import Registration
from ledger.times import instant, seconds

LETTER_SECONDS: Final = 15 * 60
TRIES: Final = 5
LETTERS_AN_HOUR: Final = 3
"""For one key, and to one address whoever asks."""

_HOUR: Final = 3600 * 1_000_000
_SMTP_SECONDS: Final = 15
_LOCAL: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS: Final = re.compile(rf"(?=.{{3,254}}\Z)(?=.{{1,64}}@){_LOCAL}@(?:{_LABEL}\.)+{_LABEL}", re.ASCII)


def normal_address(text: str) -> str:
    """Return an e-mail address (RFC 5321, the forms in use) in lower case.

    Raises:
        InvalidFieldError: it is none, or one that is written with quotes, comments or beyond ASCII.
    """
    address = text.strip(" ").lower()
    if not _ADDRESS.fullmatch(address):
        raise InvalidFieldError("not an e-mail address", place="address", cure="write NAME@HOST in ASCII")
    return address


def send_letter(parts: Parts, key: Registration, address: str, *, consent: bool) -> int:
    """Send a code to an address; an earlier letter's code no longer works. Returns when the code ends (microseconds).

    Raises:
        InvalidFieldError: no address.
        NotOfferedError: this registry sends no letters.
        IdentityMismatchError: the key was registered for another address.
        TooManyRequestsError: enough letters were sent this hour.
        UnavailableError: the mail server does not take it.
    """
    server = parts.settings.mail
    if server is None:
        raise NotOfferedError("this registry sends no letters", cure="prove another identifier")
    address = normal_address(address)
    check_same_person(key, email_identifier(parts, address))
    now = parts.clock()
    code = base64.b32encode(parts.random(5)).decode()
    with parts.private.write() as connection:
        _count(connection, f"key:{key.key_id}", now)
        _count(connection, f"address:{email_identifier(parts, address)[6:]}", now)
        row = {
            "key_id": key.key_id,
            "code": _kept(parts, key.key_id, code),
            "address": address,
            "consent": consent,
            "tries_left": TRIES,
            "sent_at": now,
            "expires_at": now + LETTER_SECONDS * 1_000_000,
        }
        connection.execute(delete(LETTERS).where((LETTERS.c.key_id == key.key_id) | (LETTERS.c.expires_at <= now)))
        connection.execute(insert(LETTERS).values(row))
    _hand_in(server, _letter(parts, server, key, address, code))
    return now + LETTER_SECONDS * 1_000_000


def confirm_letter(parts: Parts, key: Registration, code: str) -> Proven:
    """Append that the address of a key's letter is its holder's.

    Raises:
        WrongCodeError: no letter waits for its code, or for another one; after five wrong ones, for none.
        SubmissionError, StoreError: it cannot be appended.
    """
    given = _kept(parts, key.key_id, code.replace("-", "").replace(" ", "").upper())
    own = LETTERS.c.key_id == key.key_id
    with parts.private.write() as connection:
        row = connection.execute(select(LETTERS).where(own, LETTERS.c.expires_at > parts.clock())).first()
        is_right = row is not None and hmac.compare_digest(row.code, given)
        if is_right or (row is not None and row.tries_left <= 1):
            connection.execute(delete(LETTERS).where(own))
        elif row is not None:
            connection.execute(update(LETTERS).where(own).values(tries_left=row.tries_left - 1))
    if row is None:
        raise WrongCodeError("no letter of this key waits for a code", place="code", cure="ask for a letter")
    if not is_right:
        left = row.tries_left - 1
        cure = f"{left} more tries with this letter" if left else "ask for another letter"
        raise WrongCodeError("this is not the code of the letter", place="code", cure=cure)
    evidence = {"address": row.address, "sent_at": seconds(row.sent_at), "proven_by": "the code of a letter to it"}
    identifier = email_identifier(parts, row.address)
    return prove(parts, key, identifier, "email-code", evidence, consent=row.consent)


def _kept(parts: Parts, key_id: str, code: str) -> bytes:
    return derive(parts.private, "letter", f"{key_id}:{code}")


def _count(connection: Connection, whom: str, now: int) -> None:
    connection.execute(delete(SENDINGS).where(SENDINGS.c.at <= now - _HOUR))
    own = select(func.count(), func.min(SENDINGS.c.at)).where(SENDINGS.c.whom == whom)
    sent, first = connection.execute(own).one()
    if sent >= LETTERS_AN_HOUR:
        wait = (first + _HOUR - now) // 1_000_000 + 1
        raise TooManyRequestsError("enough letters were sent to this address or for this key", retry_after=wait)
    connection.execute(insert(SENDINGS).values(whom=whom, at=now))


def _letter(parts: Parts, server: MailServer, key: Registration, address: str, code: str) -> EmailMessage:
    registry, fingerprint = parts.store.registry_name, key.key_id[:32]
    letter = EmailMessage()
    letter["From"] = server.sender
    letter["To"] = address
    letter["Subject"] = f"{registry}: is this address yours?"
    letter["Date"] = format_datetime(datetime.fromisoformat(instant(parts.clock())))
    letter["Message-ID"] = f"<{parts.random(16).hex()}@{registry}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(
        f"Somebody who holds the key {fingerprint} says to the registry {registry}\n"
        f"that this address is theirs. If that is you, confirm it with this code:\n\n"
        f"    {code[:4]}-{code[4:]}\n\n"
        f"It works for {LETTER_SECONDS // 60} minutes. If it is not you, do nothing, and give the code to nobody.\n"
    )
    return letter


def _hand_in(server: MailServer, letter: EmailMessage) -> None:
    try:
        with smtplib.SMTP(server.host, server.port, timeout=_SMTP_SECONDS) as smtp:
            if server.starttls:
                smtp.starttls(context=ssl.create_default_context())
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(letter)
    except (OSError, smtplib.SMTPException):
        raise UnavailableError("the letter could not be sent", cure="check the address, or try again later") from None
