"""What gates and checks ask of the world, one concern a file."""
