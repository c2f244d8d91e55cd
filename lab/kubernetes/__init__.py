"""The Kubernetes of a lab: control planes, nodes, ingress, cluster DNS."""
