"""The actions of plans, one concern a file."""
