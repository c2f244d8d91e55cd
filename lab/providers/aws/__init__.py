"""The aws provider: a table over botocore's own service models, with one row for each resource type."""
