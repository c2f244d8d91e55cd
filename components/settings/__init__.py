"""The settings of the components, as pydantic models: facts with units, checked before anything is made.

These modules import neither `pulumi` nor a provider's package, so that reading settings costs milliseconds.
"""
