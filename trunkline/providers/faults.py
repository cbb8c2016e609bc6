"""A provider's refusal, read for what it means to the caller.

status                                        becomes
400, 404, 413, 422                            UpstreamRefused, the same class
401, 402, 403, 429 with insufficient_quota,
  any with one of ACCOUNT_CODES               UpstreamAccount: our key or our credit there
429                                           UpstreamRateLimited, with its retry-after
408, 504                                      UpstreamTimeout
409, 425, 503, 529                            UpstreamOverloaded
3xx, 500, 502 and every other                 UpstreamFailed
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from trunkline import clock, errors
from trunkline.errors import UpstreamError
from trunkline.providers.transport import Headers
from trunkline.wire import codec
from trunkline.wire.provider_errors import ErrorFacts, read_error

MESSAGE_LIMIT = 1024
QUOTA_CODES = frozenset(("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"))
# What AWS and Google say of our account under a status that would blame the request.
# https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
# https://ai.google.dev/gemini-api/docs/troubleshooting
ACCOUNT_CODES = frozenset(
    (
        "ExpiredTokenException",
        "FTUFormNotFilled",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "ServiceQuotaExceededException",
        "API_KEY_INVALID",
        "FAILED_PRECONDITION",
    )
)
# RFC 9110 section 10.2.3 sets no bound; a day is longer than any caller waits.
RETRY_AFTER_LIMIT_S = 86_400.0

_CREDENTIAL_SHAPED = re.compile(
    r"""
    (?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}          # an authorization value
    | \b(?:sk|pk|rk|gsk|xai|hf|key|api|org|proj|AIza|ghp|glpat|nvapi|pplx|r8|fw|tgp|csk)[-_A-Za-z0-9*.]{8,}
    | \b[A-Za-z0-9_-]{32,}\b                            # long enough to be a secret, whatever it begins with
    | \b[A-Za-z0-9]{2,8}\*{3,}[A-Za-z0-9]*              # a key already masked by the provider
    """,
    re.VERBOSE,
)


def clean(message: str) -> str:
    """At most 1 KB, printable, with anything shaped like a credential taken out."""
    printable = "".join(c if c.isprintable() or c == "\n" else " " for c in message[: 4 * MESSAGE_LIMIT])
    cleaned = _CREDENTIAL_SHAPED.sub(_mask, printable)
    return cleaned if len(cleaned) <= MESSAGE_LIMIT else cleaned[: MESSAGE_LIMIT - 1] + "…"


def _mask(found: re.Match[str]) -> str:
    text = found[0]
    value = text.split()[-1]
    # Model names, parameters and words are long too; a secret has digits, stars or mixed case among its letters.
    mixed_case = value[1:] not in (value[1:].lower(), value[1:].upper())
    return "[redacted]" if mixed_case or "*" in value or any(c.isdigit() for c in value) else text


def refusal(provider: str, status: int, headers: Headers, body: bytes) -> UpstreamError:
    """The error for an answer whose status is not 200. `provider` is the name from the settings."""
    said = _loosely(body)
    facts = _with_cloud_code(read_error(body), headers, said)
    retry_after = retry_after_s(headers)
    return from_facts(provider, status, facts, _retry_delay_s(said) if retry_after is None else retry_after)


def from_facts(provider: str, status: int, facts: ErrorFacts, retry_after: float | None = None) -> UpstreamError:
    """The same, from an error that came inside an answer; `status` is then the nearest one."""
    said = clean(facts.message or f"it answered {status} without a message")
    quota = status == 429 and (facts.code in QUOTA_CODES or facts.type in QUOTA_CODES)
    if status in (401, 402, 403) or quota or facts.code in ACCOUNT_CODES:
        trouble = (
            "must set this machine's clock, by which the request was signed."
            if _CLOCK_OFF.search(facts.message)
            else "must look at the provider's key or credit."
        )
        return errors.UpstreamAccount(
            f"The provider {provider} refused this gateway's own account ({status}). "
            f"Your key is fine; whoever runs the gateway {trouble}",
            status=status,
        )
    if status in (400, 404, 413, 422):
        param = facts.param if facts.param and len(facts.param) <= 128 else None
        code = facts.code if facts.code and len(facts.code) <= 128 else None
        return errors.UpstreamRefused(said, status=status, code=code, param=param)
    if status == 429:
        return errors.UpstreamRateLimited(f"{provider}: {said}", status=status, retry_after_s=retry_after)
    if status in (408, 504):
        return errors.UpstreamTimeout(f"{provider} timed out: {said}", status=status)
    if status in (409, 425, 503, 529):
        return errors.UpstreamOverloaded(f"{provider} is overloaded: {said}", status=status, retry_after_s=retry_after)
    return errors.UpstreamFailed(f"{provider} failed ({status}): {said}", status=status)


# "Signature expired: 20260101T000000Z is now earlier than ...", "Signature not yet current: ..."
_CLOCK_OFF = re.compile(r"signature (?:expired|not yet current)", re.IGNORECASE)
_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")


def _loosely(body: bytes) -> dict[str, Any]:
    """An error's JSON object, or the first of a list (Gemini's streams); empty when there is none."""
    try:
        said = msgspec.json.decode(body)
    except codec.UNREADABLE:
        return {}
    if isinstance(said, list) and said:
        said = said[0]
    return said if isinstance(said, dict) else {}


def _with_cloud_code(facts: ErrorFacts, headers: Headers, said: dict[str, Any]) -> ErrorFacts:
    """AWS names an error in a header or in `__type` and may write `Message`; Google's name is `error.status`, its
    `code` and some of Azure's only the number again."""
    name = next(
        (value.decode("latin-1") for field, value in headers if field == b"x-amzn-errortype"), said.get("__type")
    )
    code = facts.code
    if isinstance(name, str):
        code = name.partition(":")[0].rpartition("#")[2] or None
    error = said.get("error")
    if isinstance(error, dict) and isinstance(error.get("status"), str):
        bad_key = any(detail.get("reason") == "API_KEY_INVALID" for detail in _details(error))
        code = "API_KEY_INVALID" if bad_key else error["status"]
    message = facts.message or said.get("Message")
    return msgspec.structs.replace(
        facts,
        message=message if isinstance(message, str) else "",
        code=None if code is not None and code.isdigit() else code,
    )


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _retry_delay_s(said: dict[str, Any]) -> float | None:
    """Google's RetryInfo, such as `"retryDelay": "37s"`:
    https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto"""
    error = said.get("error")
    for detail in _details(error) if isinstance(error, dict) else []:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (found := _SECONDS.fullmatch(delay)):
            return min(float(found[1]), RETRY_AFTER_LIMIT_S)
    return None


def retry_after_s(headers: Headers) -> float | None:
    """Seconds, from `retry-after-ms` or `retry-after` (seconds or a date); None when absent or nonsense."""
    values = {name: value for name, value in headers if name in (b"retry-after", b"retry-after-ms")}
    try:
        if b"retry-after-ms" in values:
            seconds = float(values[b"retry-after-ms"]) / 1000
        elif b"retry-after" in values:
            text = values[b"retry-after"].decode("latin-1").strip()
            seconds = float(text) if text[:1].isdigit() else parsedate_to_datetime(text).timestamp() - clock.now_s()
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return min(seconds, RETRY_AFTER_LIMIT_S) if seconds >= 0 else None
