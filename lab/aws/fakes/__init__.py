"""Operations that moto lacks, by service. Each keeps botocore's shapes and AWS's errors."""

from lab.aws.fakes import corrections, dms, dms_metrics, dynamodb, eks, elasticache, rds


def install() -> None:
    """Add them to moto's services in this process; doing it again changes nothing."""
    eks.install()
    dms.install()
    dms_metrics.install()
    dynamodb.install()
    elasticache.install()
    rds.install()
    corrections.install()
