"""PostgreSQL and Redis on loopback: for tests of what is done to them."""
