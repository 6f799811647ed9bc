"""AWS: the credential chain of botocore (environment, profiles, SSO, roles, containers, instances) and its Signature Version 4.

The keys are botocore's to find, keep and renew, unless the target brings its own; here they are only asked for, in a thread
when that may take a file or the network. The region is the one in the URL. A signature does not give the key away and holds for
one request to one host. A bearer token (AWS_BEARER_TOKEN_BEDROCK) is a static key of the row and never comes here. Called
through `auth.get("aws")`. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from dragoman.core.errors import AuthenticationError, ConfigurationError
from dragoman.core.http import HttpRequest
from dragoman.providers.base import Target

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_SERVICE = "bedrock"
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_SIGNED = frozenset({"content-type", "x-amz-date", "x-amz-security-token"})
"""Headers under the signature, beside the host. Others may still be changed on the way."""


class AwsAuthorizer:
    """`session`: a botocore session; without one, the default chain of this process is taken when it is first needed."""

    def __init__(self, session: Any = None) -> None:
        self._session = session
        self._credentials: Any = None

    def ready(self, target: Target, now: float) -> bool:  # noqa: ARG002 - botocore knows itself when its keys end
        if target.secrets:
            return self._session is not None
        held = self._credentials
        return held is not None and not (hasattr(held, "refresh_needed") and held.refresh_needed())

    def authorize(self, request: HttpRequest, target: Target, now: float) -> HttpRequest:
        keys = self._keys(target)
        stamp = datetime.fromtimestamp(now, UTC).strftime(_TIMESTAMP)
        added = (("x-amz-date", stamp),) + ((("x-amz-security-token", keys.token),) if keys.token else ())
        dropped = {"authorization", *dict(added)}
        headers = tuple(pair for pair in request.headers if pair[0] not in dropped) + added
        dated = replace(request, headers=headers)
        signature = _authorization(dated, keys, self._region(request.url, target), stamp)
        return replace(dated, headers=(*headers, ("authorization", signature)))

    def _keys(self, target: Target) -> Any:
        """Keys that belong together, renewed if they must be."""
        session = self._loaded()
        from botocore.credentials import Credentials  # noqa: PLC0415 - it costs 100 ms, for those who use it
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above

        if target.secrets:
            told = target.secrets
            return Credentials(told["aws_access_key_id"], told["aws_secret_access_key"], told.get("aws_session_token"))
        try:
            if self._credentials is None:
                self._credentials = session.get_credentials()
            keys = self._credentials and self._credentials.get_frozen_credentials()
        except BotoCoreError as problem:
            raise _refused(target, f"the AWS credentials cannot be had ({type(problem).__name__}: {problem})") from problem
        if keys is None:
            raise _refused(target, "no AWS credentials were found")
        return keys

    def _loaded(self) -> Any:
        if self._session is None:
            try:
                from botocore.session import Session  # noqa: PLC0415 - as above
            except ImportError as problem:
                raise ConfigurationError(
                    "requests to AWS are signed with botocore, which is not installed: pip install 'dragoman[aws]', "
                    "or set AWS_BEARER_TOKEN_BEDROCK"
                ) from problem
            self._session = Session()
        return self._session

    def _region(self, url: str, target: Target) -> str:
        """From the host's name; for a host of another kind (a proxy of one's own) from the AWS configuration."""
        found = next(filter(_REGION.fullmatch, (urlsplit(url).hostname or "").split(".")), None)
        region: str | None = found or self._session.get_config_variable("region")
        if region is None:
            place = f"{target.provider.name} at {target.base_url}"
            raise ConfigurationError(f"{place}: its name holds no AWS region to sign for; set AWS_DEFAULT_REGION")
        return region


def _authorization(request: HttpRequest, keys: Any, region: str, stamp: str) -> str:
    """The `Authorization` header: botocore's signature, for the time given to us and not for one that it reads from a clock."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - as above
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - as above

    headers = {name: value for name, value in request.headers if name in _SIGNED}
    signed = AWSRequest(method=request.method, url=request.url, data=request.body, headers=headers)
    signed.context["timestamp"] = stamp
    signer = SigV4Auth(keys, _SERVICE, region)
    signature = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    names = signer.signed_headers(signer.headers_to_sign(signed))
    return f"AWS4-HMAC-SHA256 Credential={signer.scope(signed)}, SignedHeaders={names}, Signature={signature}"


def _refused(target: Target, reason: str) -> AuthenticationError:
    message = (
        f"{target.provider.name}: {reason}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or "
        "AWS_BEARER_TOKEN_BEDROCK, or give the machine a role"
    )
    return AuthenticationError(message, llm_provider=target.provider.name, model=target.model, attempts=0)


AUTHORIZER = AwsAuthorizer()
