"""Made-up secrets for the tests of redaction."""

from __future__ import annotations

import json

from mcp_coder.llm_store.secret_forms import FORMS

SECRET = "correct/horse+battery=staple"
UUID = "57f4bd65-6967-489d-a165-7b23a8babbc7"
MARKERS = ["[redacted]", *sorted({f"[redacted {form.kind}]" for form in FORMS})]


def joined(text: str) -> str:
    """What looks like a real secret is written with dots in it here, so that nobody's scanner takes it for one."""
    return text.replace("·", "")


A16, A36, A40 = (
    "aB3dE5gH7jK9mN1p",
    "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5",
    "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5/+6k",
)
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
LINES = [LINE, LINE[::-1], "x8P/Q0h="]
HEX = "0123456789abcdef" * 4


def pem(kind: str = "", end: str = "\n") -> str:
    return joined(
        f"-----BEGIN {kind}PRI·VATE KEY-----{end}{end.join(LINES)}{end}-----END {kind}PRI·VATE KEY-----"
    )


def escaped(text: str, times: int, *, ascii_only: bool) -> str:
    for _ in range(times):
        text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    return text
