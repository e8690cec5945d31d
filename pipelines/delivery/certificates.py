"""Which certificates of an endpoint are believed, and what is wrong with one that is not."""

from __future__ import annotations

import ssl

from pipelines.catalogue.endpoints import Endpoint
from pipelines.errors import DeliveryError
from pipelines.settings import Settings


def trusted(endpoint: Endpoint, ca_file: str | None) -> ssl.SSLContext | bool:
    """What an endpoint's certificate is checked against: its own authority, or those that everybody trusts.

    ``ca_file``: certificates in PEM, relative to the installation's root. Raises :class:`DeliveryError` when it cannot
    be read.
    """
    if ca_file is None:
        return True
    path = Settings().root / ca_file
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise DeliveryError(
            f"the certificates that {endpoint.endpoint} is checked with cannot be read",
            remedy=f"name a file of certificates in PEM as ca_file in schemas/endpoints/{endpoint.endpoint}.yaml",
            file=path,
        ) from None


def distrust(error: BaseException, endpoint: Endpoint, place: str) -> DeliveryError | None:
    """What a failed connection says about the certificate of an endpoint; None when that was not the reason.

    No further attempt can mend a certificate, and nothing is ever sent past one that is not believed.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    return DeliveryError(
        f"the certificate of {endpoint.endpoint} at {place} is not believed ({cause.verify_message}); "
        "everything stays queued",
        remedy="ask the receiver for a valid certificate, check this machine's date, or name its authority's file as "
        f"ca_file in schemas/endpoints/{endpoint.endpoint}.yaml",
    )
