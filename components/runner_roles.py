"""What the cutover's runner may do in AWS, phase by phase."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import iam

from components.policies import Statement, document, document_output


class RunnerRoles(pulumi.ComponentResource):
    """A role a phase, with the rights of that phase's steps and no others.

    The workspace instance takes them; operators may, from elsewhere and with a second factor.

    Args:
        phases: by phase, its rights.
        workspace_role: the workspace instance's.
        operators: ARNs of people's roles or users.
        session_seconds: how long a session may last.
        named: whether the roles have fixed names, `<name>-runner-<phase>`, for another account to know.

    Outputs:
        arns: by phase.
    """

    def __init__(
        self,
        name: str,
        *,
        phases: Mapping[str, pulumi.Input[Sequence[Statement]]],
        workspace_role: pulumi.Input[str],
        operators: Sequence[str],
        session_seconds: int,
        named: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:iam:RunnerRoles", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        trusted = pulumi.Output.from_input(workspace_role).apply(lambda role: _trust(role, operators))
        self.arns: dict[str, pulumi.Output[str]] = {}
        for phase, statements in phases.items():
            role = iam.Role(
                f"{name}-runner-{phase}",
                name=f"{name}-runner-{phase}" if named else None,
                description=f"The cutover's runner in its phase {phase}",
                assume_role_policy=trusted,
                max_session_duration=session_seconds,
                tags={"landfall:phase": phase},
                opts=child,
            )
            iam.RolePolicy(
                f"{name}-runner-{phase}",
                role=role.id,
                policy=document_output(statements),
                opts=child,
            )
            self.arns[phase] = role.arn
        self.register_outputs({"arns": self.arns})


def _trust(workspace_role: str, operators: Sequence[str]) -> str:
    statements: list[Statement] = [
        {"Effect": "Allow", "Principal": {"AWS": workspace_role}, "Action": "sts:AssumeRole"}
    ]
    if operators:
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"AWS": sorted(operators)},
                "Action": "sts:AssumeRole",
                "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
            }
        )
    return document(statements)
