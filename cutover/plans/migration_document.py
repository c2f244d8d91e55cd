"""What the first document, "Cloud Migration Plan: Huawei Cloud to AWS Singapore", asks for.

Ids follow its headings: `1.2` is Phase 1, section 2; `rollback.1` the first step of its rollback plan.
"""

from cutover.plan import Document

TITLE = "Cloud Migration Plan: Huawei Cloud to AWS Singapore"

LINES = {
    "1.1.billing": "billing-guance-intl (all resources)",
    "1.1.basis": "guance-basis (all resources)",
    "1.1.redis": "middleware (only redis-basis)",
    "1.1.velero": "Use Velero to migrate all resources from the following namespaces",
    "1.2.eip": "Assign an EIP to the Huawei Cloud RDS",
    "1.2.urls": "Update all database URLs to use the EIP address",
    "1.2.whitelist": "Whitelist this IP for the AWS k8s cluster's NAT gateway",
    "1.3.dns": "Redirect all BOSS-related domains to the AWS cluster's nginx ingress IP",
    "1.3.automata": "In Automata cluster: change configmap entry webportal.billing-guance-intl "
    "to bill.truewatch.com",
    "1.3.scale": "Huawei Cloud services: scale down BOSS & Corestone service replicas to 0",
    "1.3.cache": "Verify if there's data cached in Redis or elsewhere; if so, "
    "wait for it to be committed to the database before scaling down",
    "1.4.kodo": "Kodo: identify the reporting schedule, confirm successful reporting, understand the retries",
    "1.4.corestone": "Corestone-truewatch: identify dependencies, verify authentication",
    "1.4.automata": "Automata: document the dependent features, verify functionality",
    "1.4.others": "Identify any additional upstream services that rely on BOSS & Corestone",
    "rollback.1": "Revert DNS changes in Cloudflare",
    "rollback.2": "Scale up Huawei Cloud services to original replica count",
    "rollback.3": "Revert any ConfigMap changes on Huawei Cloud environment",
    "rollback.4": "Continue using Huawei Cloud RDS",
}

LATER = {
    "1.1.velero": "objects are copied by server-side apply, behind the interface that Velero will fill",
    "1.1.basis": "Corestone's namespace is moved once its workloads are declared in the settings",
    "1.3.automata": "Automata's cluster is not yet declared in the settings",
    "1.4.kodo": "belongs to the stage `verify`, which follows",
    "1.4.corestone": "belongs to the stage `verify`, which follows",
    "1.4.automata": "belongs to the stage `verify`, which follows",
    "1.4.others": "belongs to the stage `verify`, which follows",
}


def phase_1() -> Document:
    """Phase 1 and the rollback plan, with what this plan does not do yet."""
    return Document(title=TITLE, lines=LINES, left_out=LATER)
