"""What a row's templates cannot say: changes that depend on what is there already.

A hook is called with the calls at hand (`lab.providers.aws.resources.Resources`), the values before and the
values wanted. It compares with what is live, so that it can be repeated after a failure.
"""
