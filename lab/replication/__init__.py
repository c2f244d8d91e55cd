"""Databases that replicate: servers on loopback, and what stands behind the DMS API."""
