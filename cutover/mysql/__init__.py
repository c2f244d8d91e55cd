"""Connections to MySQL and MariaDB servers, and what sort of server is at their other end."""

from cutover.mysql.binlog import BinlogPosition, binlog_position
from cutover.mysql.option_file import option_file
from cutover.mysql.server import DatabaseError, Flavour, LostConnectionError, Server, Session, quoted

__all__ = [
    "BinlogPosition",
    "DatabaseError",
    "Flavour",
    "LostConnectionError",
    "Server",
    "Session",
    "binlog_position",
    "option_file",
    "quoted",
]
