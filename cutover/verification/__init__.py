"""Proof that two databases hold the same: schema and data, while one of them is being written to."""

from cutover.verification.result import Options, Result
from cutover.verification.rows import Masking, RowDifference
from cutover.verification.schema import SchemaDifference, compare_catalogs
from cutover.verification.verification import Verification

__all__ = [
    "Masking",
    "Options",
    "Result",
    "RowDifference",
    "SchemaDifference",
    "Verification",
    "compare_catalogs",
]
