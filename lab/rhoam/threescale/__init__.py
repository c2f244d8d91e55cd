"""A stand-in for Red Hat 3scale API Management: small programs with its names, tables, keys and paths.

It imitates what a migration meets: the master's and the tenants' API on the system database, the backend with
its job queue and usage counters on Redis, zync that makes routes, the gateway. It has none of 3scale's pages,
billing or rules. Database and Redis are real ones.
"""
