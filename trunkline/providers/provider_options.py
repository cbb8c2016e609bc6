"""What `[providers.NAME]` can say, and what a cloud makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from trunkline.errors import SettingsInvalid
from trunkline.providers.signing import Identity


class ProviderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`"""

    kind: Annotated[str | None, Meta(description="The registry row it behaves like; default: the row called NAME.")] = (
        None
    )
    base_url: Annotated[str | None, Meta(description="Where it is, up to and without `/chat/completions`.")] = None
    api_key: Annotated[str | None, Meta(description="`env:NAME`, `file:PATH` or the key itself.")] = None
    use_proxy: Annotated[bool, Meta(description="Go through HTTPS_PROXY when it is set (honours NO_PROXY).")] = True
    region: Annotated[str | None, Meta(description="AWS: the region; default: AWS_REGION.")] = None
    access_key_id: Annotated[str | None, Meta(description="AWS: `env:NAME`, `file:PATH` or the id itself.")] = None
    secret_access_key: Annotated[
        str | None, Meta(description="AWS: `env:NAME`, `file:PATH` or the secret itself; set with access_key_id.")
    ] = None
    session_token: Annotated[
        str | None, Meta(description="AWS: `env:NAME`, `file:PATH` or the token that came with the two.")
    ] = None
    role_arn: Annotated[str | None, Meta(description="AWS: a role to assume with the other credential.")] = None
    web_identity_token_file: Annotated[
        str | None, Meta(description="AWS: a file whose token is exchanged for role_arn; read at every exchange.")
    ] = None
    project: Annotated[str | None, Meta(description="Google: the project; default: GOOGLE_CLOUD_PROJECT.")] = None
    location: Annotated[
        str | None, Meta(description="Google: the location; default: GOOGLE_CLOUD_LOCATION, else `global`.")
    ] = None
    google_credentials: Annotated[
        str | None,
        Meta(description="Google: `file:PATH` or `env:NAME` of a service account's or a user's JSON; default: the file"
        " of GOOGLE_APPLICATION_CREDENTIALS."),
    ] = None  # fmt: skip
    api_version: Annotated[
        str | None,
        Meta(
            description="Azure: set to call `/openai/deployments/NAME/...?api-version=`; without it `/openai/v1/...`."
        ),
    ] = None
    tenant_id: Annotated[str | None, Meta(description="Azure: the tenant of an Entra application.")] = None
    client_id: Annotated[
        str | None, Meta(description="Azure: the Entra application, or with use_metadata the managed identity.")
    ] = None
    client_secret: Annotated[str | None, Meta(description="Azure: `env:NAME`, `file:PATH` or the secret itself.")] = (
        None
    )
    use_metadata: Annotated[
        bool, Meta(description="Take the credential from the metadata server of the cloud's machine this runs on.")
    ] = False
    token_url: Annotated[
        str | None, Meta(description="Where tokens are fetched (STS, OAuth, metadata); default: the vendor's.")
    ] = None

    def __repr__(self) -> str:
        """Values may be secrets."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) not in (None, False)]
        return f"ProviderOptions({', '.join(given)})"


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cloud's customer is, and who: by a key that rides in a header, or by an identity that signs."""

    base_url: str
    key: str | None = None
    identity: Identity | None = None
    api_version: str | None = None

    def __repr__(self) -> str:
        return f"Placed({self.base_url!r}, identity={self.identity})"


class Place(msgspec.Struct, frozen=True):
    """What the settings and the environment say. `setting` names the section in errors; `usual_key` is the key that
    the environment has for this provider."""

    provider_id: str
    setting: str
    given: ProviderOptions
    environment: Mapping[str, str]
    usual_key: str | None = None

    def __repr__(self) -> str:
        return f"Place({self.setting!r})"

    def first(self, value: str | None, *variables: str) -> str | None:
        """The setting, else the first of the variables that is set."""
        if value is not None:
            return value
        return next((text for name in variables if (text := self.environment.get(name, "").strip())), None)

    def refused(self, field: str, reason: str) -> SettingsInvalid:
        whole = f"{self.setting}.{field}"
        return SettingsInvalid(f"{whole}: {reason}", param=whole)

    def missing(self, field: str, variable: str, looks_like: str = "") -> SettingsInvalid:
        whole, shape = f"{self.setting}.{field}", f" (it looks like {looks_like})" if looks_like else ""
        return SettingsInvalid(f"{whole} is missing; set it{shape}, or {variable} in the environment", param=whole)
