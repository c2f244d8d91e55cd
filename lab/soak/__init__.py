"""Switches there and back for a long time, while clients write to the databases and through the services."""
