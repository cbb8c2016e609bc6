"""The whole error tree. An error knows its kind and what the caller can do; it does not know its HTTP shape.

    TrunklineError
    ├── Refused                    the caller must change something; asking again as it is will not help
    │   ├── InvalidRequest         a field or the body is wrong; `param` names it
    │   │   ├── BodyTooLarge
    │   │   └── UnsupportedMediaType
    │   ├── Unauthenticated        no credential, or one that is not known
    │   ├── Forbidden              a known credential that may not do this
    │   ├── NotFound               a route, a model, a stored thing
    │   │   └── MethodNotAllowed
    │   ├── BudgetExceeded         a cap or the prepaid credit does not hold what the call may cost
    │   └── ClientGone             nobody is left to answer
    ├── Unavailable                ours, passing: try again after `retry_after_s`
    │   ├── StoreUnavailable       the database does not answer
    │   └── BudgetUnavailable      another process holds what is left of a budget, and does not answer
    ├── UpstreamError              the provider's doing; `status` is what it said, if it spoke
    │   ├── UpstreamRefused        it refuses the body: 400, 404, 413, 422
    │   ├── UpstreamRateLimited    429
    │   ├── UpstreamAccount        401, 402, 403, quota: the trouble of *our* account there, never the caller's key
    │   ├── UpstreamOverloaded     409, 425, 503, 529
    │   ├── UpstreamTimeout        a timer of ours ran out, or it said 408 or 504
    │   ├── UpstreamFailed         everything else: 3xx, 5xx, no connection, bytes that make no sense
    │   └── StreamCut              an answer that ended before its end
    ├── SettingsInvalid            the configuration, with the setting's name and the nearest known one
    └── Defect                     a bug of ours

`http/problems.py` picks status and headers; `wire` writes bodies; no message ever holds a credential.
"""

from __future__ import annotations


class TrunklineError(Exception):
    """`message` is a sentence for the caller, `code` a stable machine name, `param` the field it is about."""

    default_code: str | None = None
    retryable = False

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else self.default_code
        self.param = param
        self.retry_after_s = retry_after_s


class Refused(TrunklineError):
    pass


class InvalidRequest(Refused):
    default_code = "invalid_value"


class BodyTooLarge(InvalidRequest):
    default_code = "request_too_large"


class UnsupportedMediaType(InvalidRequest):
    default_code = "unsupported_media_type"


class Unauthenticated(Refused):
    default_code = "invalid_api_key"


class Forbidden(Refused):
    default_code = "permission_denied"


class NotFound(Refused):
    default_code = "not_found"


class MethodNotAllowed(NotFound):
    """`allowed` are the methods that the route takes."""

    default_code = "method_not_allowed"

    def __init__(self, message: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allowed = allowed


class BudgetExceeded(Refused):
    """`scope` is the narrowest that the call does not fit, such as `key` or `account acct_…`. Amounts are nano-dollars:
    `used` is spent for good, `held` is what calls under way may still spend; without a `limit_nanos` they are not the
    caller's to know. `resets_at`: Unix seconds, None is never."""

    default_code = "budget_exceeded"

    def __init__(  # noqa: PLR0913 - each figure stands in the answer
        self,
        message: str,
        *,
        scope: str = "",
        limit_nanos: int | None = None,
        used_nanos: int = 0,
        held_nanos: int = 0,
        resets_at: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.scope = scope
        self.limit_nanos = limit_nanos
        self.used_nanos = used_nanos
        self.held_nanos = held_nanos
        self.resets_at = resets_at


class ClientGone(Refused):
    default_code = "client_closed_request"


class Unavailable(TrunklineError):
    default_code = "unavailable"
    retryable = True


class StoreUnavailable(Unavailable):
    default_code = "store_unavailable"


class BudgetUnavailable(Unavailable):
    default_code = "budget_unavailable"


class UpstreamError(TrunklineError):
    """`status` is the provider's HTTP status, None when it gave none. `message` is cleaned and at most 1 KB."""

    default_code = "provider_error"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, param=param, retry_after_s=retry_after_s)
        self.status = status


class UpstreamRefused(UpstreamError):
    default_code = "provider_refused"
    retryable = False


class UpstreamRateLimited(UpstreamError):
    default_code = "rate_limit_exceeded"


class UpstreamAccount(UpstreamError):
    default_code = "provider_account"


class UpstreamOverloaded(UpstreamError):
    default_code = "provider_overloaded"


class UpstreamTimeout(UpstreamError):
    default_code = "provider_timeout"


class UpstreamFailed(UpstreamError):
    default_code = "provider_error"


class StreamCut(UpstreamError):
    default_code = "stream_cut"


class SettingsInvalid(TrunklineError):
    default_code = "settings_invalid"


class Defect(TrunklineError):
    default_code = "internal_error"
