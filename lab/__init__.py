"""A whole migration rehearsed on one machine, from real parts."""
