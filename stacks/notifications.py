"""Where an environment's alarms go."""

import pulumi

from components.notifications import Notifications
from stacks.settings import EnvironmentBase, known


def declare_notifications(
    environment: EnvironmentBase, name: str, opts: pulumi.ResourceOptions
) -> Notifications | None:
    """The topic, with the addresses that the settings name; None where they have no such section."""
    if environment.notifications is None:
        return None
    emails = [
        known(email, f"notifications.emails[{index}]")
        for index, email in enumerate(environment.notifications.emails)
    ]
    return Notifications(name, emails=emails, opts=opts)
