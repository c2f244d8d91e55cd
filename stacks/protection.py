"""What a stack says of its own protection."""

from stacks.settings import EnvironmentBase


def protection(environment: EnvironmentBase) -> str:
    """Whether the stack refuses to be destroyed, and how it is destroyed on purpose; a stack output."""
    file = f"Pulumi.{environment.name}.yaml"
    if not environment.protected:
        return f"none, as {file} says `protected: false`: `pulumi destroy` deletes everything"
    return (
        "databases, caches, keys, buckets, the cluster and the network refuse to be deleted; to delete them "
        f"on purpose set `protected: false` in {file}, run `pulumi up`, then `pulumi destroy`"
    )
