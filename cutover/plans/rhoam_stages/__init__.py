"""The stages of the plan `rhoam`, by the places of its document."""
