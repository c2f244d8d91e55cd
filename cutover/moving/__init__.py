"""Which objects move between clusters, how each arrives, and how Velero is told; pure decisions."""
