"""The cutover: plans, the runner that works through them, and its command line."""
