"""The command that writes a new environment and a plan for it."""

from __future__ import annotations

from typing import Annotated

import typer

from cutover.init import Answers, initialise
from cutover.session import Session


def init_command(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="The new environment's name: lower-case, no hyphen.")],
    domain: Annotated[str, typer.Option(prompt="The domain that moves", help="The domain that moves.")],
    zone: Annotated[str, typer.Option(prompt="Its Cloudflare zone", help="Its Cloudflare zone.")],
    namespace: Annotated[str, typer.Option(prompt="The namespace of its service", help="The service's.")],
    workload: Annotated[
        str, typer.Option(prompt="Its Deployment, and the Service of the same name", help="Its Deployment.")
    ],
    source_context: Annotated[
        str, typer.Option(prompt="The source cluster's context in the kubeconfig", help="In the kubeconfig.")
    ],
    target_context: Annotated[
        str, typer.Option(prompt="The target cluster's context in the kubeconfig", help="In the kubeconfig.")
    ],
    database: Annotated[str, typer.Option(prompt="The database's name", help="The database's name.")],
    database_host: Annotated[
        str, typer.Option(prompt="Its host, as the source's pods know it", help="As the source knows it.")
    ],
    region: Annotated[str, typer.Option(prompt="The AWS region", help="The AWS region.")] = "ap-southeast-1",
) -> None:
    """Write a new environment and a plan for it; asks for what no option says, and overwrites nothing."""
    session: Session = context.obj
    answers = Answers(
        environment=name,
        region=region,
        source_context=source_context,
        target_context=target_context,
        zone=zone,
        domain=domain,
        namespace=namespace,
        workload=workload,
        database=database,
        database_host=database_host,
    )
    for path in initialise(session.project, answers):
        typer.echo(str(path))
    typer.echo(
        f"look at it: cutover --environment {name} --plan plan_{name}:one_domain plan show\n"
        f"rehearse it on the lab's services: make rehearse PLAN=plan_{name}:one_domain BEFORE=connect\n"
        "then fill in the placeholders, and change the plan: docs/writing-a-plan.md"
    )
