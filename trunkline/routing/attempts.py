"""What comes after an attempt that failed, while nothing of its answer has reached the caller.

| what failed           | the provider said                        | worth trying still                    |
|-----------------------|------------------------------------------|---------------------------------------|
| UpstreamRefused       | 400, 404, 413, 422: it is the request    | none: another would refuse it as well |
| UpstreamAccount       | 401, 402, quota: it is our account there | deployments of other providers        |
| UpstreamAccount       | 403: our account, perhaps for this model | all that are left                     |
| UpstreamRateLimited   | 429                                      | all that are left                     |
| UpstreamOverloaded    | 409, 425, 503, 529                       | all that are left                     |
| UpstreamTimeout       | nothing in time, 408, 504                | all that are left                     |
| UpstreamFailed        | 3xx, other 5xx, no connection, nonsense  | all that are left                     |
| StreamCut             | an end before the first event            | all that are left                     |
| Unavailable           | nothing: no connection was free          | all that are left                     |
| StoreUnavailable      | nothing: our own database did not answer | none: it may be paid for already      |
| anything else         | nothing: it is not the provider's doing  | none                                  |
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.catalog.models import Deployment
from trunkline.errors import (
    StoreUnavailable,
    TrunklineError,
    Unavailable,
    UpstreamAccount,
    UpstreamError,
    UpstreamRefused,
)


def following(error: TrunklineError, failed: Deployment, left: Sequence[Deployment]) -> Sequence[Deployment]:
    """Those of `left`, the deployments not tried yet, that are worth trying after `failed` failed; none: stop."""
    if isinstance(error, UpstreamRefused | StoreUnavailable) or not isinstance(error, UpstreamError | Unavailable):
        return ()
    if isinstance(error, UpstreamAccount) and error.status != 403:
        return [one for one in left if one.provider_id != failed.provider_id]
    return left
