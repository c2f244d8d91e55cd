"""Subnets, for any VPC that the settings allow."""

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.settings.network import NetworkSettings

ZONES = [f"ap-southeast-1{letter}" for letter in "abcdef"]
VPCS = st.tuples(st.integers(0, 2**12 - 1), st.integers(16, 20)).map(
    lambda pair: IPv4Network((10 << 24 | (pair[0] << 12) & (2**32 - (1 << (32 - pair[1]))), pair[1]))
)


@given(cidr=VPCS, zones=st.integers(2, 6))
def test_default_subnets_lie_in_the_vpc_and_apart(cidr: IPv4Network, zones: int) -> None:
    settings = NetworkSettings(cidr=cidr, zones=tuple(ZONES[:zones]))
    subnets = (*settings.public, *settings.private)
    assert len(subnets) == 2 * zones
    assert all(subnet.subnet_of(cidr) for subnet in subnets)
    assert all(subnet.prefixlen <= 28 for subnet in subnets), "AWS has no smaller subnets"
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))


@given(cidr=VPCS, zones=st.integers(2, 5))
def test_a_further_zone_moves_no_subnet(cidr: IPv4Network, zones: int) -> None:
    before = NetworkSettings(cidr=cidr, zones=tuple(ZONES[:zones]))
    after = NetworkSettings(cidr=cidr, zones=tuple(ZONES[: zones + 1]))
    assert after.public[:zones] == before.public
    assert after.private[:zones] == before.private


@pytest.mark.parametrize("prefix", [15, 21])
def test_sizes_beyond_what_fits_are_refused(prefix: int) -> None:
    with pytest.raises(ValueError, match="from /16 to /20"):
        NetworkSettings(cidr=IPv4Network(f"10.0.0.0/{prefix}"), zones=tuple(ZONES[:3]))
