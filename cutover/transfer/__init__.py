"""Moving data by dumps: databases of one kind, from MySQL to PostgreSQL, and Redis."""

from cutover.transfer.check_bucket import CheckBucket
from cutover.transfer.compare_across import CompareAcross
from cutover.transfer.convert import ConvertToPostgres
from cutover.transfer.dump_database import DumpDatabase
from cutover.transfer.load_database import LoadDatabase
from cutover.transfer.places import (
    BucketPlace,
    DatabasePlace,
    DumpPlace,
    RedisPlace,
    SecretDatabase,
    SecretRedis,
    StackDatabase,
    StackRedis,
)
from cutover.transfer.redis_dump import DumpRedis
from cutover.transfer.redis_recover import CompareRedis, RecoverRedis
from cutover.transfer.restore_by_pod import RestoreByPod
from cutover.transfer.take_dump import TakeDump
from cutover.transfer.upgrade import UpgradeDatabase

__all__ = [
    "BucketPlace",
    "CheckBucket",
    "CompareAcross",
    "CompareRedis",
    "ConvertToPostgres",
    "DatabasePlace",
    "DumpDatabase",
    "DumpPlace",
    "DumpRedis",
    "LoadDatabase",
    "RecoverRedis",
    "RedisPlace",
    "RestoreByPod",
    "SecretDatabase",
    "SecretRedis",
    "StackDatabase",
    "StackRedis",
    "TakeDump",
    "UpgradeDatabase",
]
