"""A page on loopback to watch a cutover, live from its journal; a process of its own beside the runner."""
