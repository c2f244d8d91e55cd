"""The kubernetes provider: any kind that a cluster serves, by server-side apply, and the Patch types."""
