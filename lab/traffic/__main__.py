"""`python -m lab.traffic generate …` and `python -m lab.traffic judge …`; see their --help."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pymysql

from lab.traffic import log
from lab.traffic.client import ResolveError
from lab.traffic.figures import Switches
from lab.traffic.generate import Generator, Load
from lab.traffic.judge import LoginError, first_address, judge, read_held, read_login, read_settlements
from lab.traffic.user import Account


def main() -> int:
    """Reads the command line. Exit code 0; 1 with one line where it could not do what it was asked."""
    parser = argparse.ArgumentParser(prog="lab.traffic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_generate(commands.add_parser("generate", help="send requests and log each"))
    _add_judge(commands.add_parser("judge", help="compare a log with the surviving database"))
    options = parser.parse_args()
    try:
        if options.command == "generate":
            asyncio.run(_generate(options))
        else:
            _judge(options)
    except (ResolveError, LoginError, log.LogError, pymysql.MySQLError, OSError, ValueError) as error:
        print(f"lab.traffic: {error}", file=sys.stderr)
        return 1
    return 0


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seconds", type=float, help="how long; without it until the stop file or a signal")
    parser.add_argument("--stop-file", type=Path, help="no further requests once this file exists")
    parser.add_argument("--domain", required=True)
    parser.add_argument("--corestone", help="Corestone's domain; with it users log in and use sessions")
    parser.add_argument("--accounts", type=Path, help="JSON: passwords by user, with --corestone")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--resolver", required=True, help="address of the DNS server")
    parser.add_argument("--resolver-port", type=int, default=53)
    parser.add_argument("--ca", type=Path, required=True, help="PEM file of the CA that clients trust")
    parser.add_argument("--source-address", help="address that clients connect from")
    parser.add_argument("--clients", type=int, default=40, help="how many users")
    parser.add_argument("--stale-clients", type=int, default=8, help="how many of them never resolve again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="the log, JSON lines")
    parser.add_argument("--live", type=Path, help="figures of each second; default: OUT with .live.json")


def _go_first() -> None:
    """A measuring instrument that waits for a processor measures itself: it takes its turn before others."""
    with contextlib.suppress(PermissionError):  # not root: it does without
        os.nice(-10)


async def _generate(options: argparse.Namespace) -> None:
    _go_first()
    load = Load(
        rate=options.rate,
        seconds=options.seconds,
        stop_file=options.stop_file,
        domain=options.domain,
        port=options.port,
        resolver=options.resolver,
        resolver_port=options.resolver_port,
        ca=options.ca,
        source=options.source_address,
        clients=options.clients,
        stale_clients=options.stale_clients,
        seed=options.seed,
        corestone=options.corestone,
        accounts=_accounts(options.accounts) if options.corestone else (),
    )
    live = options.live or options.out.with_suffix(".live.json")
    generator = Generator(load, options.out, live)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, generator.stop)
    print(json.dumps(dict(await generator.run())))


def _accounts(path: Path | None) -> tuple[Account, ...]:
    if path is None:
        raise ValueError("--corestone needs --accounts")
    return tuple(Account(user, password) for user, password in json.loads(path.read_text()).items())


def _add_judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=Path, required=True, help="the log of `generate`")
    parser.add_argument("--database", type=Path, required=True, help="login file of the surviving database")
    parser.add_argument("--out", type=Path, required=True, help="where the `traffic` section goes")
    parser.add_argument(
        "--checks", type=Path, help="sessions and settlements; default: checks.json beside OUT"
    )
    parser.add_argument("--series", type=Path, help="the time series; default: series.json beside OUT")
    parser.add_argument(
        "--source", action="append", help="address of the old cloud's ingress; default: the first one reached"
    )
    parser.add_argument(
        "--parked",
        action="append",
        type=_span,
        default=[],
        help="BEGUN-ENDED in seconds since the epoch: when requests were held",
    )
    parser.add_argument(
        "--refused",
        action="append",
        type=_span,
        default=[],
        help="BEGUN-ENDED in seconds since the epoch: when the plan refused writes",
    )
    parser.add_argument(
        "--drain-seconds", type=float, default=30.0, help="how long buffered writes may take to arrive"
    )


def _span(text: str) -> tuple[float, float]:
    begun, _, ended = text.partition("-")
    return float(begun), float(ended)


def _judge(options: argparse.Namespace) -> None:
    requests = log.read(options.requests)
    login = read_login(options.database)
    source = options.source or first_address(requests)
    switches = Switches(options.parked, options.refused)
    verdict = judge(requests, lambda: read_held(login), source, options.drain_seconds, switches)
    options.out.write_text(json.dumps(verdict.traffic, indent=2) + "\n", encoding="utf-8")
    series_file = options.series or options.out.with_name("series.json")
    series_file.write_text(json.dumps(verdict.series) + "\n", encoding="utf-8")
    settled = read_settlements(login).findings
    checks_file = options.checks or options.out.with_name("checks.json")
    checks_file.write_text(json.dumps({"sessions": verdict.sessions, "settlements": settled}) + "\n")
    for what, ids in (("lost", verdict.losses.lost), ("duplicated", verdict.losses.duplicated)):
        for client_id in ids[:20]:
            print(f"{what}: {client_id}")
    print(json.dumps(verdict.traffic))


if __name__ == "__main__":
    sys.exit(main())
