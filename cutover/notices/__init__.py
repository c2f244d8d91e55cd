"""Telling people what happens: from the journal, beside the run, and never in its way."""
