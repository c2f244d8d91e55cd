"""EKS: what moto lacks."""


def install() -> None:
    """Add it."""
