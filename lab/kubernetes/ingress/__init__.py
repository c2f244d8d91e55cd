"""The ingress controller of a cluster: nginx, routed by Ingress, Service and EndpointSlice objects.

As in the community's controller, Lua inside nginx picks the peer of each request. Here it picks the route and
the certificate as well: the configuration is fixed, only a routing table changes, and it changes between two
requests of a worker that goes on. Nothing is ever reloaded, so no connection is closed by a change: a worker
that nginx 1.22 retires on a reload closes its idle kept-alive connections, and a request that is sent on one
at that moment is lost.
"""
