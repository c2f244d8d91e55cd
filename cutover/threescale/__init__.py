"""3scale and RHOAM on OpenShift: their workloads, operators, Secrets, routes and APIs."""
