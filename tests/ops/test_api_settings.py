"""Settings of the application: what each variable means, and that a wrong one is named and no secret is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import ApiSettings, MailServer, OpenIdProvider
from ledger.errors import UsageError
from ops.settings import RATE_LIMITS, api_settings, read_settings

OPENID = {
    "PITH_OPENID_ISSUER": "https://orcid.org",
    "PITH_OPENID_CLIENT_ID": "APP-1",
    "PITH_OPENID_CLIENT_SECRET": "the client's secret",
}
SMTP = {
    "PITH_SMTP": "mail.example:587",
    "PITH_SMTP_SENDER": "Registry <registry@pith.example>",
    "PITH_SMTP_USER": "registry",
    "PITH_SMTP_PASSWORD": "the mail's secret",
    "PITH_SMTP_STARTTLS": "yes",
}


def test_nothing_is_offered_by_default() -> None:
    found = api_settings(read_settings({}), {})
    assert (found.openid, found.mail, dict(found.ssh_key_lists), dict(found.rate_limits)) == (
        None,
        None,
        {},
        RATE_LIMITS,
    )
    assert found.base_url == "http://127.0.0.1:8080"


def test_everything_can_be_set() -> None:
    environment = {
        **OPENID,
        **SMTP,
        "PITH_BASE_URL": "https://pith.example/",
        "PITH_OPENID_SCHEME": "orcid",
        "PITH_SSH_KEY_LISTS": "github=https://github.com/{user}.keys  gitlab=https://gitlab.com/{user}.keys",
        "PITH_RATE_LIMITS": "submit=60 search=30",
    }
    found = api_settings(read_settings(environment), environment)
    assert found.base_url == "https://pith.example"
    assert found.openid == OpenIdProvider("https://orcid.org", "APP-1", "the client's secret", "orcid")
    sender = "Registry <registry@pith.example>"
    assert found.mail == MailServer("mail.example", 587, sender, "registry", "the mail's secret", starttls=True)
    assert found.ssh_key_lists["github"] == "https://github.com/{user}.keys"
    assert found.rate_limits == {**RATE_LIMITS, "submit": 60, "search": 30}


def test_secrets_can_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    names = ("PITH_OPENID_CLIENT_SECRET", "PITH_SMTP_PASSWORD")
    environment = {name: value for name, value in {**OPENID, **SMTP}.items() if name not in names}
    environment |= {f"{name}_FILE": str(tmp_path / "secret") for name in names}
    found = api_settings(read_settings(environment), environment)
    assert found.openid and found.openid.client_secret == "from a file"
    assert found.mail and found.mail.password == "from a file"


def test_no_secret_is_shown() -> None:
    found = repr(api_settings(read_settings({}), {**OPENID, **SMTP}))
    assert "client's secret" not in found and "mail's secret" not in found


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"PITH_OPENID_ISSUER": "orcid.org"}, "PITH_OPENID_ISSUER"),
        ({"PITH_OPENID_ISSUER": "http://orcid.org"}, "PITH_OPENID_ISSUER"),
        ({"PITH_OPENID_ISSUER": "https://orcid.org?x"}, "PITH_OPENID_ISSUER"),
        ({"PITH_OPENID_ISSUER": "http://["}, "PITH_OPENID_ISSUER"),
        ({"PITH_OPENID_CLIENT_ID": ""}, "PITH_OPENID_CLIENT_ID"),
        ({"PITH_OPENID_SCHEME": "email"}, "PITH_OPENID_SCHEME"),
        ({"PITH_OPENID_SCHEME": "a b"}, "PITH_OPENID_SCHEME"),
        ({"PITH_SMTP": "mail.example"}, "PITH_SMTP"),
        ({"PITH_SMTP": "mail.example:0"}, "PITH_SMTP"),
        ({"PITH_SMTP": "mail.example:٣"}, "PITH_SMTP"),
        ({"PITH_SMTP_SENDER": "nobody"}, "PITH_SMTP_SENDER"),
        ({"PITH_SMTP_SENDER": "a@b.example\nBcc: c@d.example"}, "PITH_SMTP_SENDER"),
        ({"PITH_SMTP_STARTTLS": "maybe"}, "PITH_SMTP_STARTTLS"),
        ({"PITH_SMTP_STARTTLS": "no"}, "PITH_SMTP_STARTTLS"),
        ({"PITH_SSH_KEY_LISTS": "github"}, "PITH_SSH_KEY_LISTS"),
        ({"PITH_SSH_KEY_LISTS": "github=https://github.com/keys"}, "PITH_SSH_KEY_LISTS"),
        ({"PITH_SSH_KEY_LISTS": "github=https://{user}.example/keys"}, "PITH_SSH_KEY_LISTS"),
        ({"PITH_SSH_KEY_LISTS": "github=file:///{user}"}, "PITH_SSH_KEY_LISTS"),
        ({"PITH_SSH_KEY_LISTS": "email=https://a.example/{user}"}, "PITH_SSH_KEY_LISTS"),
        ({"PITH_SSH_KEY_LISTS": "a=https://a.example/{user} a=https://b.example/{user}"}, "PITH_SSH_KEY_LISTS"),
        ({"PITH_RATE_LIMITS": "submit=many"}, "PITH_RATE_LIMITS"),
        ({"PITH_RATE_LIMITS": "submits=60"}, "PITH_RATE_LIMITS"),
        ({"PITH_RATE_LIMITS": "submit"}, "PITH_RATE_LIMITS"),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, str], place: str) -> None:
    with pytest.raises(UsageError) as refusal:
        api_settings(read_settings({}), {**OPENID, **SMTP, **changes})
    assert refusal.value.place == place
    assert "secret" not in refusal.value.message


def test_a_secret_stands_in_one_place_that_can_be_read(tmp_path: Path) -> None:
    name = "PITH_OPENID_CLIENT_SECRET"
    without = {key: value for key, value in OPENID.items() if key != name}
    (tmp_path / "binary").write_bytes(b"\xff")
    for environment in (
        {**OPENID, f"{name}_FILE": str(tmp_path / "secret")},
        {**without, f"{name}_FILE": str(tmp_path / "missing")},
        {**without, f"{name}_FILE": str(tmp_path / "binary")},
    ):
        with pytest.raises(UsageError) as refusal:
            api_settings(read_settings({}), environment)
        assert refusal.value.place == f"{name}_FILE"


def test_a_limit_of_nought_is_no_limit() -> None:
    assert "submit" not in api_settings(read_settings({}), {"PITH_RATE_LIMITS": "submit=0"}).rate_limits


SERVICES = """
[anchoring]
patience_seconds = 600
[[anchoring.authorities]]
url = "https://time.example/tsr"
[fetched]
hosts = ["arxiv.org", "*.archive.example"]
"""
ARCHIVE = """
[[storing.archives]]
name = "archive"
save = "https://web.archive.example/save"
cdx = "https://web.archive.example/cdx"
replay = "https://web.archive.example/web"
"""


def with_services(folder: Path, text: str) -> ApiSettings:
    (folder / "services.toml").write_text(text)
    environment = {"PITH_DATA": str(folder)}
    return api_settings(read_settings(environment), environment)


def test_nothing_is_done_on_request_without_services(tmp_path: Path) -> None:
    environment = {"PITH_DATA": str(tmp_path)}
    found = api_settings(read_settings(environment), environment)
    assert (found.stamps, found.preserves, found.anchor_patience_seconds) == (False, (), None)


def test_what_is_done_on_request_follows_from_the_services(tmp_path: Path) -> None:
    found = with_services(tmp_path, SERVICES + ARCHIVE)
    assert (found.stamps, found.anchor_patience_seconds) == (True, 600.0)
    assert found.preserves == ("arxiv.org", "*.archive.example")


def test_nothing_is_preserved_where_there_is_no_place_to_keep_it(tmp_path: Path) -> None:
    assert with_services(tmp_path, SERVICES).preserves == ()


def test_no_warning_is_given_for_want_of_a_timestamp_service(tmp_path: Path) -> None:
    found = with_services(tmp_path, ARCHIVE)
    assert (found.stamps, found.anchor_patience_seconds) == (False, None)


def test_services_that_cannot_be_meant_keep_the_application_from_starting(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        with_services(tmp_path, "[anchoring]\npatience_seconds = -1\n")
