"""What both sides do while a cutover runs: users' requests, the replication's lag; and metrics of it."""
