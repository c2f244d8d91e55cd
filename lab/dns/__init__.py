"""DNS in the lab: a small server with a lookup callback, forwarding, and the resolver of a private network.

`DnsServer` answers over UDP and TCP with whatever an asynchronous `Lookup` says; the public DNS, the
resolver of a VPC and the DNS of a cluster are such lookups.
"""

from lab.dns.forward import Forwarder
from lab.dns.records import RecordTable, TableError, load_table
from lab.dns.server import Answer, DnsServer, Lookup, Question, refused, server_failure

__all__ = [
    "Answer",
    "DnsServer",
    "Forwarder",
    "Lookup",
    "Question",
    "RecordTable",
    "TableError",
    "load_table",
    "refused",
    "server_failure",
]
