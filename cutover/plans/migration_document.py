"""What the first document, "Cloud Migration Plan: Huawei Cloud to AWS Singapore", asks for.

Ids follow its headings: `1.2` is Phase 1, section 2; `rollback.1` the first step of its rollback plan. Every
line of its two phases and of its "Rollback Plan" stands here in its own words: as a demand, which steps
fulfil, or as a detail, which says more about demands.
"""

from collections.abc import Mapping

from cutover.plan import Document

TITLE = "Cloud Migration Plan: Huawei Cloud to AWS Singapore"

LINES = {
    "1.1.velero": "Use Velero to migrate all resources from the following namespaces:",
    "1.1.billing": "billing-guance-intl (all resources)",
    "1.1.basis": "guance-basis (all resources)",
    "1.1.redis": "middleware (only redis-basis)",
    "1.2.eip": "Solution: Assign an EIP to the Huawei Cloud RDS",
    "1.2.urls": "Implementation: Update all database URLs to use the EIP address",
    "1.2.whitelist": "Security: Whitelist this IP for the AWS k8s cluster's NAT gateway",
    "1.3.dns": "Action: Redirect all BOSS-related domains to the AWS cluster's nginx ingress IP",
    "1.3.automata": "In Automata cluster: Change configmap entry webportal.billing-guance-intl "
    "(K8S internal DNS) to bill.truewatch.com",
    "1.3.scale": "Huawei Cloud services: Scale down BOSS & Corestone service replicas to 0",
    "1.3.cache": "Important: Verify if there's data cached in Redis or elsewhere",
    "1.4.kodo.schedule": "Identify Kodo reporting schedule",
    "1.4.kodo.report": "Confirm successful post-migration reporting",
    "1.4.kodo.retries": "Understand Kodo's failure retry mechanisms",
    "1.4.corestone.dependencies": "Identify additional BOSS & Corestone dependencies",
    "1.4.corestone.verify": "Verify all dependent functionality",
    "1.4.automata.features": "Document all BOSS & Corestone dependent features",
    "1.4.automata.verify": "Verify functionality post-migration",
    "1.4.others": "Identify any additional upstream services that rely on BOSS & Corestone",
    "2.1.dms": "Tool: AWS Database Migration Service (DMS)",
    "2.1.process": "Process: Configure and execute full database migration",
    "2.2.update": "Update BOSS & Corestone services to point to AWS RDS",
    "2.2.restart": "Restart services to ensure configuration changes are applied",
    "2.2.connectivity": "Validation: Confirm proper database connectivity",
    "2.2.decommission": "Decommissioning: Shutdown Huawei Cloud RDS after successful validation",
    "2.3.services": "Execute comprehensive service validation",
    "2.3.integrity": "Verify data integrity",
    "2.3.performance": "Confirm system performance",
    "rollback.1": "Revert DNS changes in Cloudflare",
    "rollback.2": "Scale up Huawei Cloud services to original replica count",
    "rollback.3": "Revert any ConfigMap changes on Huawei Cloud environment",
    "rollback.4": "Continue using Huawei Cloud RDS",
}
"""What the document asks for."""

_NAMESPACES = ("1.1.billing", "1.1.basis", "1.1.redis")
_ROLLBACK = ("rollback.1", "rollback.2", "rollback.3", "rollback.4")

DETAILS = {
    "Resources to be migrated include:": _NAMESPACES,
    "Deployments": _NAMESPACES,
    "ConfigMaps": _NAMESPACES,
    "Ingress rules": _NAMESPACES,
    "Services": _NAMESPACES,
    "All other related k8s resources": _NAMESPACES,
    "Database URL Updates:": ("1.2.urls",),
    "Reason: Original database URLs use internal DNS which will be inaccessible post-migration": (
        "1.2.urls",
    ),
    "Platform: Cloudflare": ("1.3.dns",),
    "Additional configuration:": ("1.3.automata", "1.3.scale"),
    "If no cache exists: Immediate scale down": ("1.3.cache", "1.3.scale"),
    "If cache exists: Wait for cached data to be committed to database before scaling down": ("1.3.cache",),
    "Upstream Service Validation:": ("1.4.others",),
    "Kodo": ("1.4.kodo.schedule", "1.4.kodo.report", "1.4.kodo.retries"),
    "BOSS-related function: Reports billing data to BOSS daily": ("1.4.kodo.report",),
    "Corestone-truewatch": ("1.4.corestone.dependencies", "1.4.corestone.verify"),
    "Location: forethought-inner-app namespace in each truewatch cluster": ("1.4.corestone.verify",),
    "BOSS-related function: Authentication": ("1.4.corestone.verify",),
    "Automata": ("1.4.automata.features", "1.4.automata.verify"),
    "Verification points:": ("1.4.kodo.report", "1.4.corestone.verify", "1.4.automata.verify"),
    "Other Dependencies": ("1.4.others",),
    "In case of migration failure:": _ROLLBACK,
}
"""The document's other lines, with the demands that each says more about."""

NATIVE = (
    "the database is copied and followed by the databases' own replication, as the settings choose, which is "
    "quicker between two servers of a family; DMS carries the way back",
)
SWITCHED_FIRST = (
    "the document restarts the services on the target's database while they serve: here they are restarted "
    "behind the switch, which sends requests to pods that run against it already",
)
"""Where Phase 2 differs from the document, and why."""
ROLLBACK_ORDER = (
    "the document reverts DNS first and scales the source up second: here the source is scaled up and ready "
    "before DNS is reverted, because clients that follow DNS would meet no pod otherwise",
    "the target's buffers are drained, and the callers on other clusters sent back, before the target's pods "
    "end",
    "the database stays where it is all along, so there is nothing to do to continue using it",
)
"""Where the way back differs from the document's list, and why."""


def document(*, database: bool, native: bool) -> Document:
    """Phase 1 and the rollback plan; with `database`, Phase 2 too."""
    left_out: Mapping[str, str] = {
        line: "the settings have no section `replication`: the database stays where it is"
        for line in LINES
        if line.startswith("2.") and not database
    }
    differs = ROLLBACK_ORDER if not database else ROLLBACK_ORDER[:-1] + SWITCHED_FIRST + NATIVE * native
    return Document(title=TITLE, lines=LINES, details=DETAILS, left_out=left_out, differs=differs)
