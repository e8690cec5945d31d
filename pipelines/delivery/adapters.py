"""Which adapter speaks to an endpoint, opened with its address and its secret."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pipelines.catalogue.endpoints import Endpoint
from pipelines.delivery.adapter import Adapter
from pipelines.delivery.address import endpoint_database, endpoint_secret, endpoint_url
from pipelines.delivery.exchange_table import ExchangeTableAdapter
from pipelines.delivery.rest import RestAdapter
from pipelines.delivery.sftp_file import SftpFileAdapter
from pipelines.delivery.sftp_folders import account_of
from pipelines.delivery.xml_service import XmlServiceAdapter
from pipelines.errors import DeliveryError


def open_adapter(endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> Adapter:
    """The adapter of an endpoint; a :class:`DeliveryError` names what is missing of its address or secret."""
    if endpoint.protocol == "rest":
        return RestAdapter(endpoint, endpoint_url(endpoint, environment), endpoint_secret(endpoint, environment))
    if endpoint.protocol == "xml_service":
        return XmlServiceAdapter(endpoint, endpoint_url(endpoint, environment), endpoint_secret(endpoint, environment))
    if endpoint.protocol == "exchange_table":
        return ExchangeTableAdapter(
            endpoint, endpoint_database(endpoint, environment), endpoint_secret(endpoint, environment)
        )
    if endpoint.sftp_file is not None:
        return SftpFileAdapter(endpoint, account_of(endpoint, endpoint.sftp_file, environment))
    raise DeliveryError(
        f"{endpoint.endpoint}: no adapter speaks {endpoint.protocol}",
        remedy=f"mend protocol in schemas/endpoints/{endpoint.endpoint}.yaml",
    )
