"""All clouds of a lab: two that services move between, three of those who call them, and the internet."""

from lab.clouds.cluster import Cluster
from lab.clouds.facade import Clouds, Progress
from lab.clouds.internet import DOMAIN, DOMAINS, REGION, ZONE
from lab.clouds.workloads import SERVICES_NAMESPACE

__all__ = ["DOMAIN", "DOMAINS", "REGION", "SERVICES_NAMESPACE", "ZONE", "Clouds", "Cluster", "Progress"]
