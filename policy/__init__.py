"""A Pulumi policy pack: the security controls that the declared infrastructure meets.

`pulumi preview --policy-pack policy` runs it. It judges what a program declares and knows nothing of how.
"""
