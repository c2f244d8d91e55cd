"""S3: buckets, and what is set on them by resources of their own."""

from __future__ import annotations

from collections.abc import Iterator

from policy.control import Control, Rule, Stack, StackRule, accompanied
from policy.documents import allows, everybody, listed, statements
from policy.judgement import Failed, Finding, Judge, NotEvaluated, Resource, has_unknown, is_true

BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
_READS = ("s3:GetObject", "s3:ListBucket", "s3:GetObjectVersion", "s3:GetBucketAcl")
_WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:PutBucketAcl", "s3:PutBucketPolicy", "s3:PutObjectAcl")


def _closed_to_everybody(*actions: str) -> Judge:
    def judged(resource: Resource) -> Iterator[Finding]:
        for statement in statements(resource, "policy"):
            if isinstance(statement, Finding):
                yield statement
            elif everybody(statement) and not statement.get("Condition") and allows(statement, *actions):
                yield Failed(f"policy allows everybody {', '.join(listed(statement.get('Action')))}")

    return judged


def _tls_alone(resource: Resource) -> Iterator[Finding]:
    found = False
    for statement in statements(resource, "policy"):
        if isinstance(statement, Finding):
            yield statement
            return
        secure = ((statement.get("Condition") or {}).get("Bool") or {}).get("aws:SecureTransport")
        found = found or (
            statement.get("Effect") == "Deny"
            and everybody(statement)
            and listed(statement.get("Action")) in (["s3:*"], ["*"])
            and str(secure).lower() == "false"
            and any(str(item).endswith("/*") for item in listed(statement.get("Resource")))
        )
    if not found:
        yield Failed("policy does not deny everything where aws:SecureTransport is false")


def _logged(resource: Resource, stack: Stack) -> Iterator[Finding]:
    """A bucket that takes others' logs logs none of its own: each line would cause another."""
    # Whoever must not write before it may names the bucket by way of its policy.
    names = [resource, *stack.users(resource, POLICY, "bucket")]
    if not any(stack.users(name, LOGGING, "targetBucket") for name in names):
        yield from accompanied(LOGGING, "bucket", "BucketLogging")(resource, stack)


def _expiring(resource: Resource) -> Iterator[Finding]:
    rules = resource.value("rules")
    if not isinstance(rules, list) or not rules:
        yield NotEvaluated("rules is not known yet") if has_unknown(rules) else Failed("rules is absent")
    elif not any(rule.get("status") == "Enabled" for rule in rules if isinstance(rule, dict)):
        if has_unknown(rules):
            yield NotEvaluated("rules is not known yet")
        else:
            yield Failed("none of its rules has the status Enabled")


def _blocks(*names: str) -> tuple[Rule, ...]:
    return (Rule((BLOCK,), tuple(map(is_true, names))),)


def _each_bucket_has(type_: str) -> tuple[StackRule, ...]:
    return (StackRule((BUCKET,), (accompanied(type_, "bucket", type_.rpartition(":")[2]),)),)


CONTROLS = (
    Control(
        "S3.1",
        "Every bucket has its public access blocked.",
        "s3.BucketPublicAccessBlock: bucket",
        stack_rules=_each_bucket_has(BLOCK),
    ),
    Control(
        "S3.2",
        "Nobody from outside reads a bucket.",
        "s3.BucketPolicy: policy; s3.BucketPublicAccessBlock: ignorePublicAcls, restrictPublicBuckets",
        (
            Rule((POLICY,), (_closed_to_everybody(*_READS),)),
            *_blocks("ignorePublicAcls", "restrictPublicBuckets"),
        ),
    ),
    Control(
        "S3.3",
        "Nobody from outside writes a bucket.",
        "s3.BucketPolicy: policy; s3.BucketPublicAccessBlock: ignorePublicAcls, restrictPublicBuckets",
        (
            Rule((POLICY,), (_closed_to_everybody(*_WRITES),)),
            *_blocks("ignorePublicAcls", "restrictPublicBuckets"),
        ),
    ),
    Control(
        "S3.5",
        "A bucket takes requests by TLS alone.",
        "s3.BucketPolicy: bucket, policy",
        (Rule((POLICY,), (_tls_alone,)),),
        _each_bucket_has(POLICY),
    ),
    Control(
        "S3.8",
        "A bucket's public access is blocked in all four ways.",
        "blockPublicAcls, blockPublicPolicy, ignorePublicAcls, restrictPublicBuckets",
        _blocks("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"),
    ),
    Control(
        "S3.9",
        "A bucket's requests are logged; a bucket of logs is excepted.",
        "s3.BucketLogging: bucket, targetBucket",
        stack_rules=(StackRule((BUCKET,), (_logged,)),),
    ),
    Control(
        "S3.13",
        "A bucket has a lifecycle.",
        "s3.BucketLifecycleConfiguration: bucket, rules",
        (Rule((LIFECYCLE,), (_expiring,)),),
        _each_bucket_has(LIFECYCLE),
    ),
)
