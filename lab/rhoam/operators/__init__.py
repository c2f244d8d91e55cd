"""Stand-ins for the operators of 3scale, RHOAM and RHSSO: each looks at its cluster over and over.

They run as pods of Deployments with the real operators' names: scaled to 0, an operator is paused.
"""
