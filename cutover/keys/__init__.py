"""The keys of a Redis that moves along, such as sessions: copied, and followed while both sides serve."""
