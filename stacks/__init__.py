"""One builder a stack, and the typed settings of an environment."""
