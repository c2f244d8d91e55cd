"""The Pulumi program: picks the stack's builder by name."""

import pulumi

from stacks import builder_for

builder_for(pulumi.get_stack())()
