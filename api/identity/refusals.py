"""Why a login or a proof of identity is refused, each by a code of its own."""

from __future__ import annotations

from http import HTTPStatus

from api.problems import ForbiddenError, RefusedError


class LoginOverError(RefusedError):
    """No login is under way under this address or state: it was finished, took too long or never began."""

    code = "login-over"
    status = HTTPStatus.GONE
    default_cure = "begin the login again"


class OtherBrowserError(ForbiddenError):
    """The login belongs to another browser than the one that asks."""

    code = "other-browser"
    default_cure = "finish a login in the browser that opened it, or begin again"


class LoginDeclinedError(ForbiddenError):
    """The provider sent its person back without a login."""

    code = "login-declined"
    default_cure = "begin the login again"


class CodeRefusedError(ForbiddenError):
    """The provider gives no token for the code that came back."""

    code = "login-code-refused"
    default_cure = "begin the login again"


class TokenInvalidError(ForbiddenError):
    """The provider's token does not prove this login."""

    code = "id-token-invalid"
    default_cure = "begin the login again; tell the registry's operator if that does not help"


class IdentityMismatchError(ForbiddenError):
    """What was proven belongs to somebody else than the key names."""

    code = "identity-mismatch"
    default_cure = "prove the identifier that the key was registered with, or register a key that names the other"


class WrongCodeError(ForbiddenError):
    """The code is not the one of the letter."""

    code = "wrong-code"


class UnavailableError(RefusedError):
    """Somebody else's server, which is needed for this, does not answer as it should."""

    code = "outside-unavailable"
    status = HTTPStatus.BAD_GATEWAY
    default_cure = "try again in a while"
    retryable = True
