"""The commands, by subject. Each takes its arguments and returns an exit code."""
