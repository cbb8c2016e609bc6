"""What comes after an attempt that failed, while nothing of its answer has reached the caller.

| what failed           | the provider said                        | next                                  |
|-----------------------|------------------------------------------|---------------------------------------|
| UpstreamRefused       | 400, 404, 413, 422: it is the request    | stop: another would refuse it as well |
| UpstreamAccount       | 401, 402, 403, quota: it is our account  | the next deployment                   |
| UpstreamRateLimited   | 429                                      | the next deployment                   |
| UpstreamOverloaded    | 409, 425, 503, 529                       | the next deployment                   |
| UpstreamTimeout       | nothing in time, 408, 504                | the next deployment                   |
| UpstreamFailed        | 3xx, other 5xx, no connection, nonsense  | the next deployment                   |
| StreamCut             | an end before the first event            | the next deployment                   |
| Unavailable           | nothing: no connection was free          | the next deployment                   |
| anything else         | nothing: it is not the provider's doing  | stop                                  |
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.catalog.models import Deployment
from trunkline.errors import TrunklineError, Unavailable, UpstreamError, UpstreamRefused


def next_deployment(error: TrunklineError, tried: int, deployments: Sequence[Deployment]) -> Deployment | None:
    """The deployment after the first `tried` of a route, when the last of these failed with `error`; None: stop."""
    if isinstance(error, UpstreamRefused) or not isinstance(error, UpstreamError | Unavailable):
        return None
    return deployments[tried] if tried < len(deployments) else None
