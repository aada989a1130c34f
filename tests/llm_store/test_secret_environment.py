"""Which values of an environment are secrets."""

from __future__ import annotations

import pytest
from tests.llm_store.secret_samples import UUID

from mcp_coder.llm_store.redact import Redactor
from mcp_coder.llm_store.secret_environment import MIN_SECRET_LENGTH, secrets_in

LONG = "0123456789-abcdef"


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "DB_PASSWORD",
        "DB_PASSWD",
        "DB_PASS",
        "MYSQL_PWD",
        "PGPASSWORD",
        "SSHPASS",
        "KEY",
        "token",
        "OPENAI_APIKEY",
        "API_KEY_2",
        "GOOGLE_CREDENTIALS",
        "APP_CREDENTIAL",
        "REDISCLI_AUTH",
        "ANTHROPIC_AUTH_TOKEN",
        "CLIENT_SECRET",
        "GPG_PASSPHRASE",
        "GITHUB_PAT",
        "npm_config__authToken",
        "apiKey",
        "my-api-key",
    ],
)
def test_names_that_say_secret(name: str) -> None:
    assert secrets_in({name: f" {LONG}\n"}) == (LONG,)


@pytest.mark.parametrize(
    "name",
    [
        "KEYBOARD_LAYOUT",
        "TOKENIZERS_PARALLELISM",
        "MAX_THINKING_TOKENS",
        "SSH_AUTH_SOCK",
        "AUTHOR",
        "MONKEY",
        "SECRETARY",
        "COMPASS",
        "PATH",
        "PWD",
        "OLDPWD",
        "TOKEN_URL",
        "AUTH_TYPE",
        "SSH_KEY_FILE",
        "AWS_ACCESS_KEY_ID",
        "SSH_PUBLIC_KEY",
        "HOME",
        "_",
        "",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert secrets_in({name: LONG}) == ()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a" * (MIN_SECRET_LENGTH - 1) + " ",
        "true",
        "1234567890123",
        "-1_700_000_000.000",
        "2026-11-22 21:43",
        "/run/user/1000/keys/agent.4711",
        "~/.config/gcloud/application_default_credentials.json",
        "../secrets/tokens.json",
        "C:\\Users\\Jane Doe\\token.txt",
        "/usr/bin:/usr/local/bin",
        "/nix/store/0c5zqb3jcf7vvwqqx3g9i3nm2ya7vhzq-tool",
        "------------",
        "xxxx-xxxx-xxxx-xxxx",
        UUID,
    ],
)
def test_values_that_are_no_secret_under_any_name(value: str) -> None:
    assert secrets_in({"API_KEY": value}) == ()


@pytest.mark.parametrize(
    "value",
    [
        "a1b2" * 3,
        "/aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5",
        "/aB3d/E5gH7+jK9mN1pQ3sT5vW7yZ9bC1dF3h=",
        "correct horse battery",
        '{"type": "service_account"}',
        "0x0123456789",
        "~tilde-first~",
    ],
)
def test_values_that_are_secrets(value: str) -> None:
    assert secrets_in({"API_KEY": value}) == (value,)


def test_a_url_with_a_password_is_a_secret_under_any_name_and_so_is_the_password() -> None:
    url = "postgres://app:hunter2hunter2@db.example.com/main"
    assert secrets_in({"DATABASE_URL": url, "HTTPS_PROXY": "http://u:short@proxy"}) == (
        url,
        "http://u:short@proxy",
        "hunter2hunter2",
    )
    assert secrets_in({"DATABASE_URL": "postgres://app@db.example.com/main"}) == ()


def test_each_secret_is_given_once_the_longest_first() -> None:
    environ = {
        "A_TOKEN": LONG,
        "B_TOKEN": LONG,
        "C_TOKEN": LONG + "0",
        "D_TOKEN": "abcdefghijkl",
        "LANG": "C",
    }
    assert secrets_in(environ) == (LONG + "0", LONG, "abcdefghijkl")


def test_what_an_environment_has_is_taken_out() -> None:
    redactor = Redactor(secrets=secrets_in({"DATABASE_URL": "postgres://app:hunter2hunter2@db/main"}))
    text = "connected to postgres://app:hunter2hunter2@db/main with hunter2hunter2"
    assert redactor.text(text) == ("connected to [redacted password] with [redacted]", 2)
