"""What secrets look like: true ones and near misses of each form."""

from __future__ import annotations

import pytest
from tests.llm_store.secret_samples import A16, A36, A40, HEX, UUID, joined, pem

from mcp_coder.llm_store.redact import Redactor
from mcp_coder.llm_store.secret_forms import FORMS, Form

# Kind, first needle, texts in which what stands between ⟨ and ⟩ is taken out, texts that are left alone.
ROWS: list[tuple[str, str, list[str], list[str]]] = [
    (
        "private-key",
        "-----BEGIN",
        [
            f"⟨{pem()}⟩",
            f"key:\n⟨{pem('RSA ')}⟩\n",
            f"⟨{pem('OPENSSH ', end=chr(13) + chr(10))}⟩",
            f"⟨{pem('EC ', end=' ')}⟩",
            f'"private_key": "⟨{pem(end=chr(92) + "n")}⟩\\n"',
            f'\\"private_key\\": \\"⟨{pem(end=chr(92) * 2 + "n")}⟩\\\\n\\"',
            "⟨"
            + pem("ENCRYPTED ").replace(
                "\nMII", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\nMII", 1
            )
            + "⟩",
            "⟨"
            + pem()
            .replace("PRI" + "VATE KEY", "PGP PRI" + "VATE KEY BLOCK")
            .replace("\nMII", "\nVersion: x\n\nMII", 1)
            + "⟩",
            "     1→⟨" + pem(end="\n     2→") + "⟩\n",
            "⟨" + pem(end='\\n" +\n    "') + '⟩"',
            f"⟨{pem()}⟩ and ⟨{pem('EC ')}⟩",
            "⟨" + "\n".join(pem().splitlines()[:3]) + "⟩",
            "⟨" + "\n".join(pem().splitlines()[:3]) + "\nx8P/Q0h=⟩\n(cut)",
            "⟨" + "\n".join(pem().splitlines()[:2]) + f"⟩\n\n⟨{pem()}⟩",
        ],
        [
            pem().replace("PRI" + "VATE", "PUBLIC"),
            pem().replace("PRI" + "VATE KEY", "CERTIFICATE"),
            joined('if "-----BEGIN PRI·VATE KEY-----" in text: return "-----END PRI·VATE KEY-----" in text'),
            joined("-----BEGIN PRI·VATE KEY-----"),
            joined("-----BEGIN PRI·VATE KEY-----\n...\n-----END PRI·VATE KEY-----"),
            "-----BEGIN PRI",
        ],
    ),
    (
        "anthropic-key",
        "sk-ant-",
        [
            f"⟨sk-·ant-api03-{A36}-{A36}_AA⟩",
            f"ANTHROPIC_API_KEY=⟨sk-·ant-oat01-{A36}⟩",
            f'"⟨sk-·ant-admin01-{A36}⟩"',
            f"keys\\n⟨sk-·ant-api03-{A36}⟩\\nend",
            f"?key%3D⟨sk-·ant-api03-{A36}⟩",
            f"\x1b[m⟨sk-·ant-api03-{A36}⟩\x1b[0m",
            f"\x1b[1m⟨sk-·ant-api03-{A36}⟩\x1b[0m",
            f"\x1b[32m⟨sk-·ant-api03-{A36}⟩\x1b[0m",
            f"\x1b[0;32m⟨sk-·ant-api03-{A36}⟩\x1b[0m",
        ],
        ["sk-·ant-...", "sk-·ant-api03-xxx", f"task-·ant-api03-{A36}"],
    ),
    (
        "openai-key",
        "sk-",
        [
            f"⟨sk-·{A36}⟩",
            f"⟨sk-·proj-{A16}-{A16}_T3BlbkFJ{A36}⟩",
            f"⟨sk-·or-v1-{HEX}⟩",
            f"⟨sk-·svcacct-{A36}⟩, ⟨sk-·admin-{A36}⟩",
        ],
        ["sk-learn-contrib-with-a-very-long-name", "sk-1234", f"disk-{A36}", "sk-proj-short"],
    ),
    (
        "github-token",
        "ghp_",
        [
            *(f"⟨gh·{letter}_{A36}⟩" for letter in "pousr"),
            f"remote\\n⟨gh·p_{A36}⟩",
            f"⟨gh·s_{A36}.{A16}.{A16}⟩.",
        ],
        ["ghp_short", f"ghx_{A36}", f"gh·p_{A36[:35]}", "ghp_" + "-" * 36],
    ),
    (
        "github-token",
        "github_pat_",
        [f"⟨github_·pat_{A16}{A16}_{A40[:36]}⟩"],
        ["github_pat_token", "github_pat_"],
    ),
    (
        "gitlab-token",
        "gl",
        [f"⟨gl·pat-{A16}{A16[:4]}⟩", f"⟨gl·pat-{A36}.01.0a1b2c3d4⟩", f"⟨gl·dt-{A36}⟩", f"⟨gl·rt-t1_{A36}⟩"],
        ["glpat-short", f"glxyz-{A36}", "global-configuration-of-everything", "gl"],
    ),
    (
        "aws-key-id",
        "AKIA",
        ["⟨AK·IAIOSFODNN7EXAMPLE⟩", "id=⟨AS·IAIOSFODNN7EXAMPLE⟩,"],
        [
            "AK·IAIOSFODNN7EXAMPLE1",
            "AKIAshort",
            "xAK·IAIOSFODNN7EXAMPLE",
            "AKIAIOSFODNN7eXAMPLE",
            "ASIA MINOR",
        ],
    ),
    (
        "aws-secret-key",
        "ecret",
        [
            f"aws_secret_access_key = ⟨{A40}⟩",
            f'"SecretAccessKey": "⟨{A40}⟩"',
            f'\\"SecretAccessKey\\": \\"⟨{A40}⟩\\"',
            f"export AWS_SECRET_ACCESS_KEY=⟨{A40}⟩",
            f"<SecretAccessKey>⟨{A40}⟩</SecretAccessKey>",
            f"--secret-key ⟨{A40}⟩",
            "secretAccessKey: '⟨" + A40.replace("/", "\\/") + "⟩'",
            f"secret key => ⟨{A40}⟩",
        ],
        [
            A40,
            f"aws_secret_access_key = {A36}",
            f"aws_secret_access_key = {A40}x",
            f"secret: {A40}",
            "secret_key = None",
        ],
    ),
    (
        "aws-session-token",
        "IQoJb3JpZ2lu",
        [f"⟨IQoJ·b3JpZ2lu{A40}{A40}==⟩", "⟨Fwo·GZXIvYXdz" + f"{A40}{A40}".replace("/", "\\/") + "⟩"],
        ["IQoJb3JpZ2lu", f"FwoGZXIvYXdz{A36}"],
    ),
    (
        "google-key",
        "AIza",
        [f"⟨AI·zaSy{A36[:33]}⟩", f"key=⟨AI·zaSy{A36[:33]}⟩&x"],
        ["AIzaSyShort", f"xAI·zaSy{A36[:33]}"],
    ),
    (
        "google-token",
        "ya29.",
        [f"⟨ya·29.{A36}⟩", f"⟨GOC·SPX-{A36[:28]}⟩"],
        ["ya29.short", "GOCSPX-", f"xya·29.{A36}"],
    ),
    (
        "slack-token",
        "xox",
        [
            f"⟨xox·b-123456789012-1234567890123-{A36[:24]}⟩",
            f"⟨xox·p-123456789012-{HEX}⟩",
            f"⟨xox·e.xoxp-1-{A36}⟩",
            "⟨xox·o-1-1234567890⟩",
            f"⟨xa·pp-1-A012BCD34-{HEX}⟩",
        ],
        ["xoxo-hugs-and-kisses-forever", "xoxb-", "xoxb-your-token-goes-here-please", "xapp-name-without"],
    ),
    (
        "slack-webhook",
        "hooks.slack.com",
        [
            f"https://hooks.·slack.com/services⟨/T0123ABCD/B0123ABCD/{A36[:24]}⟩",
            f"https:\\/\\/hooks.·slack.com\\/services⟨\\/T0123ABCD\\/B0123ABCD\\/{A36[:24]}⟩",
        ],
        ["https://hooks.slack.com/services", "https://hooks.slack.com/services/..."],
    ),
    (
        "stripe-key",
        "sk_live_",
        [f"⟨sk_·live_{A36}⟩", f"⟨rk_·live_{A36}⟩", f"⟨sk_·test_{A16}⟩", f"⟨rk_·test_{A16}⟩"],
        ["sk_live_", "sk_live_mode_is_on", f"pk_live_{A36}"],
    ),
    ("stripe-key", "whsec_", [f"⟨wh·sec_{A36}⟩"], ["whsec_..."]),
    (
        "npm-token",
        "npm_",
        [f"_authToken=⟨np·m_{A36}⟩"],
        ["npm_config_registry", "npm_lifecycle_event_is_something_long_here"],
    ),
    (
        "pypi-token",
        "pypi-",
        [
            f"⟨py·pi-AgEIcHlwaS5vcmc{A36}-{A36}⟩",
            f"⟨py·pi-AgENdGVzdC5weXBpLm9yZw{A36}⟩",
            f"⟨py·pi-{A36}-{A36}⟩",
        ],
        ["pypi-publish-action-for-everybody-and-more", "pypi-AgE"],
    ),
    ("huggingface-token", "hf_", [f"⟨h·f_{A36[:34]}⟩"], ["hf_hub_download", "hf_transfer", "shelf_life"]),
    ("groq-key", "gsk_", [f"⟨gs·k_{A40[:36]}{A16}⟩"], ["gsk_", "gsk_short"]),
    ("xai-key", "xai-", [f"⟨xa·i-{A36}{A36}⟩"], ["xai-sdk-python-with-a-very-long-name-here"]),
    ("docker-token", "dckr_pat_", [f"⟨dckr_·pat_{A16}-{A16}⟩"], ["dckr_pat_"]),
    (
        "digitalocean-token",
        "dop_v1_",
        [f"⟨do·p_v1_{HEX}⟩", f"⟨do·o_v1_{HEX}⟩"],
        ["dop_v1_", f"dop_v1_{'z' * 64}"],
    ),
    ("vault-token", "hvs.", [f"⟨hv·s.{A36}⟩"], ["hvs.read()", f"xhvs.{A36}"]),
    ("sendgrid-key", "SG.", [f"⟨S·G.{A16}_12345.{A36}-1234567⟩"], ["SG.", f"SG.{A36}", f"MSG.{A36}.{A36}"]),
    (
        "jwt",
        "eyJ",
        [
            f"⟨ey·JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{A36}⟩",
            "token: ⟨ey·JhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.⟩",
            f"⟨ey·JhbGciOiJSU0EifQ.{A36}.{A16}.{A36}.{A16}⟩",
            f"a\\n⟨ey·JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{A36}⟩",
        ],
        ["eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.short.x", f"xeyJhbGciOiJIUzI1NiJ9.{A36}.{A36}", "eyJ"],
    ),
    (
        "authorization",
        "uthorization",
        [
            "Authorization: Bearer ⟨12345678⟩",
            "authorization: bearer ⟨abcdefgh⟩",
            "AUTHORIZATION: BEARER ⟨abcdefgh⟩",
            "> Authorization: Basic ⟨dTpw⟩",
            "Authorization: Basic ⟨dXNlcjpodW50ZXIy⟩",
            "authorization: basic ⟨QWxhZGRpbjpvcGVuIHNlc2FtZQ==⟩",
            "{'Authorization': 'Bearer ⟨abc.def-123⟩'}",
            '"Authorization": "token ⟨0123456789⟩"',
            '\\"Authorization\\": \\"ApiKey ⟨0123456789⟩\\"',
            "Authorization:[Bearer ⟨abcdefgh⟩]",
            f"Authorization: Bearer ⟨{UUID}⟩",
        ],
        [
            "Authorization: required",
            "Authorization: Bearer $TOKEN",
            "Authorization: Bearer <token>",
            "Authorization: Bearer short",
            "Authorization: Basic authentication is what it wants",
            "Authorization: Basic",
            "authorization = True",
        ],
    ),
    (
        "authorization",
        "earer",
        [f"Bearer ⟨{A36}⟩", f"-H 'bearer ⟨{A36}⟩'", f"BEARER ⟨{A36}⟩"],
        ["Bearer authentication is", "Bearer abcdefghijklmnopqrstuvwxyz", "Bearer a1", f"wearer {A36}"],
    ),
    (
        "password",
        "://",
        [
            "https://ci:⟨hunter2⟩@git.example.com/x.git",
            "postgres://app:⟨p4ss%40word⟩@db:5432/main?sslmode=require",
            "redis://:⟨hunter2⟩@[::1]:6379/0",
            "amqp://app:⟨a:b@c⟩@mq",
            "DATABASE_URL=mongodb+srv://u:⟨x⟩@cluster0.example.net/",
            '"https:\\/\\/ci:⟨hunter2⟩@git.example.com\\/x.git"',
        ],
        [
            "https://example.com:8080/path@2x.png",
            "http://localhost:3000?mail=a@b.example",
            "ssh://git@example.com:22/x.git",
            "https://user@example.com",
            "https://ci:${PASSWORD}@git.example.com",
            "https://ci:$PASSWORD@git.example.com",
            "https://ci:{password}@git.example.com",
            "https://ci:<password>@git.example.com",
            "https://ci:***@git.example.com",
            "https://ci:@git.example.com",
            "scheme://",
        ],
    ),
]

POSITIVE = [
    pytest.param(kind, text, id=f"{kind}-{place}-{n}")
    for place, (kind, _, texts, _) in enumerate(ROWS)
    for n, text in enumerate(texts)
]
NEGATIVE = [
    pytest.param(text, id=f"{row[0]}-{place}-{n}")
    for place, row in enumerate(ROWS)
    for n, text in enumerate(row[3])
]


def expected(kind: str, marked: str) -> str:
    first, *rest = marked.split("⟨")
    return first + "".join(f"[redacted {kind}]{part.partition('⟩')[2]}" for part in rest)


@pytest.mark.parametrize(("kind", "marked"), POSITIVE)
def test_a_secret_of_a_known_form_is_taken_out(kind: str, marked: str) -> None:
    marked = joined(marked)
    text = marked.replace("⟨", "").replace("⟩", "")
    assert Redactor().text(text) == (expected(kind, marked), marked.count("⟨"))
    assert Redactor().text(expected(kind, marked)) == (expected(kind, marked), 0)


@pytest.mark.parametrize("near_miss", NEGATIVE)
def test_what_is_only_like_a_secret_is_left_alone(near_miss: str) -> None:
    text = joined(near_miss)
    assert Redactor().text(text) == (text, 0)


def test_each_form_has_its_row() -> None:
    assert [(form.kind, form.needles[0]) for form in FORMS] == [row[:2] for row in ROWS]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.kind}-{form.needles[0]}")
def test_each_needle_of_a_form_is_what_a_match_begins_with(form: Form) -> None:
    texts = next(row[2] for row in ROWS if row[:2] == (form.kind, form.needles[0]))
    plain = [joined(text).replace("⟨", "").replace("⟩", "") for text in texts]
    found = {needle for needle in form.needles for text in plain if form.regex.match(text, text.find(needle))}
    assert found == set(form.needles)
