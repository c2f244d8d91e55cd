"""Elastic IPs from a pool, in order, so that the lab can give a host the address that AWS handed out.

moto hands out random addresses of 127.0.0.0/8, on which nobody else can answer.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from threading import Lock
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend

# moto's own function, whatever pool is in use.
_ALLOCATE: Callable[..., ElasticAddress] = ElasticAddressBackend.allocate_address
_lock = Lock()


class AddressLimitExceeded(ServiceException):
    """What AWS answers where an account has no Elastic IP left."""

    code = "AddressLimitExceeded"
    message = "The maximum number of addresses has been reached."


def use_pool(pool: IPv4Network) -> None:
    """Let every account and region of this process allocate the first free address of `pool`."""

    def allocate_address(
        backend: Any, domain: str, address: str | None = None, tags: dict[str, str] | None = None
    ) -> ElasticAddress:
        with _lock:
            return _ALLOCATE(backend, domain, address or _first_free(pool), tags)

    ElasticAddressBackend.allocate_address = allocate_address  # type: ignore[method-assign, assignment]


def _first_free(pool: IPv4Network) -> str:
    taken = {
        address.public_ip
        for regions in ec2_backends.values()
        for backend in regions.values()
        for address in backend.addresses
    }
    for candidate in pool:
        if str(candidate) not in taken:
            return str(candidate)
    raise AddressLimitExceeded
