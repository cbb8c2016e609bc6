"""JSON in and out, in one place.

`fields` decodes the top level of a body once and leaves every value as the bytes it came in.
"""

from __future__ import annotations

import msgspec

Raw = msgspec.Raw
encode = msgspec.json.encode
