"""The node agent: runs the pods of a cluster as local processes, each pod in namespaces of its own."""
