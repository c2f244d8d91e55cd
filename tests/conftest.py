"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test says how fast it has to be: machines are shared.
settings.register_profile("landfall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("landfall")
