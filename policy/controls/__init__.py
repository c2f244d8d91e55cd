"""The table of controls, one module a service."""

from policy.control import Control
from policy.controls import dms, ec2, eks, elasticache, kms, rds, s3, secretsmanager

CONTROLS: tuple[Control, ...] = (
    *rds.CONTROLS,
    *eks.CONTROLS,
    *elasticache.CONTROLS,
    *dms.CONTROLS,
    *ec2.CONTROLS,
    *s3.CONTROLS,
    *kms.CONTROLS,
    *secretsmanager.CONTROLS,
)
"""In the order of the table."""
