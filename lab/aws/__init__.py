"""The lab's AWS: moto as a server, with what it lacks added beside it."""
