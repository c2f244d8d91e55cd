"""A CronJob that reports upstream: when it runs, that a report now succeeds, and what follows a failure.

The last is seen without a fault in anybody's service. A pod of ours stands between a copy of the job and the
domain for the time of one report: it answers the first request with 503, and sends the next ones on.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Evidence, Look
from cutover.actions.jobs import find_cron_job, job_of, remove_job, run_job, schedule_of
from cutover.callers import objects
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster
from stacks.settings import CronJobReport

FAILS_ONCE = "landfall-fails-once"
_PORT, _READY_PORT = 8080, 8081
_SEEN = "landfall-seen"
"""How the lines of the pod's access log begin."""
_START = 'printf %s "$1" >/tmp/nginx.conf && exec nginx -e stderr -c /tmp/nginx.conf'


@dataclass(frozen=True, kw_only=True)
class ReportNow(Look):
    """Identifies the schedule, and makes a report now."""

    report: CronJobReport

    def describe(self) -> str:
        """See Action."""
        place = f"{self.report.namespace}/{self.report.cron_job} on {self.report.cluster}"
        return f"identify the schedule of CronJob {place}, and make a report now by a Job of it"

    def apply(self, context: Context) -> Evidence:
        """Raises StepError where the report does not succeed."""
        cron_job = find_cron_job(context, self.report)
        cluster = context.cluster(self.report.cluster)
        found = schedule_of(cron_job, self.report, environment_of(cluster, cron_job))
        context.say(
            f"{self.report.name} reports at {found['schedule']!r}; after a failure it tries "
            f"{found['retries']} times more, every {found['retry_seconds']} s"
        )
        job = job_of(cron_job, f"{self.report.cron_job}-now", self.report.timeout_seconds)
        succeeded, seen = run_job(context, cluster, job, self.report.timeout_seconds)
        if not succeeded:
            name = f"{self.report.namespace} job/{job['metadata']['name']}"
            raise StepError(
                f"{self.report.name}: the report failed ({seen}): see `kubectl --context {cluster.context} "
                f"logs -n {name}`"
            )
        return {"schedule": found, "report": f"made now by Job {job['metadata']['name']}: {seen}"}


@dataclass(frozen=True, kw_only=True)
class SeeRetries(Look):
    """Makes a report whose first try is answered with 503, and sees whether it is repeated."""

    report: CronJobReport

    def describe(self) -> str:
        """See Action."""
        return (
            f"see what {self.report.name} does when a report fails once: a copy of its job asks a pod of "
            "ours, which answers 503 once and then sends on to the domain"
        )

    def apply(self, context: Context) -> Evidence:
        """What was not seen is a finding, and no reason to go back. Raises StepError."""
        cron_job = find_cron_job(context, self.report)
        cluster = context.cluster(self.report.cluster)
        domains = tuple(domain.name for domain in context.environment.domains)
        texts = environment_of(cluster, cron_job)
        domain = next((name for name in domains if any(f"https://{name}" in t for t in texts.values())), "")
        if not domain:
            return self._finding(
                context, "no variable of its environment holds the https address of a domain"
            )
        try:
            address = self._stand_between(context, cluster, domain)
            job = job_of(cron_job, f"{self.report.cron_job}-retries", self.report.timeout_seconds)
            pod = job["spec"]["template"]["spec"]
            for container in pod["containers"]:
                container["env"] = redirected(container.get("env") or (), texts, f"https://{domain}", address)
            succeeded, _ = run_job(context, cluster, job, self.report.timeout_seconds)
            answers = [*_answers(cluster.logs(self.report.namespace, FAILS_ONCE, "nginx", 1000))]
            if not succeeded:
                remove_job(context, cluster, self.report.namespace, job["metadata"]["name"])
        finally:
            cluster.delete("v1", "pods", self.report.namespace, FAILS_ONCE)
        shown = ", then ".join(map(str, answers)) or "no answer"
        if not succeeded or len(answers) < 2 or not 200 <= answers[-1] < 300:
            return self._finding(context, f"its report was answered {shown}, and was not made")
        context.say(f"{self.report.name} repeated its report: {shown}")
        return {"retries": f"seen: answered {shown}", "answers": answers}

    def _finding(self, context: Context, text: str) -> Evidence:
        context.say(f"FINDING: {self.report.name}: {text}")
        return {"retries": f"not seen: {text}", "findings": [f"{self.report.name}: {text}"]}

    def _stand_between(self, context: Context, cluster: Cluster, domain: str) -> str:
        """Starts the pod anew; returns its address. Raises StepError."""
        namespace, environment = self.report.namespace, context.environment
        cluster.delete("v1", "pods", namespace, FAILS_ONCE)
        limit = environment.cutover.timeouts.pods_ready
        context.wait_for(
            f"pod {namespace}/{FAILS_ONCE} to be gone",
            limit,
            lambda: (cluster.get("v1", "pods", namespace, FAILS_ONCE) is None, "still there"),
        )
        seconds = self.report.timeout_seconds + limit
        configuration = fails_once(domain, environment.forwarder_ca_bundle)
        cluster.create("pods", _pod(namespace, environment.forwarder_image, configuration, seconds))
        address = ""

        def look() -> tuple[bool, str]:
            nonlocal address
            status = (cluster.get("v1", "pods", namespace, FAILS_ONCE) or {}).get("status") or {}
            address = status.get("podIP", "")
            conditions = {item["type"]: item["status"] for item in status.get("conditions") or ()}
            return bool(address) and conditions.get("Ready") == "True", str(status.get("phase", "absent"))

        context.wait_for(f"pod {namespace}/{FAILS_ONCE} on {cluster.context}", limit, look)
        return f"http://{address}:{_PORT}"


def environment_of(cluster: Cluster, cron_job: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a CronJob's containers, from its template and ConfigMaps; never from Secrets."""
    namespace = cron_job["metadata"]["namespace"]
    found: dict[str, str] = {}
    for container in objects.pod_template(cron_job)["spec"]["containers"]:
        for source in container.get("envFrom") or ():
            if name := (source.get("configMapRef") or {}).get("name"):
                found |= _config_map(cluster, namespace, name)
        for entry in container.get("env") or ():
            reference = (entry.get("valueFrom") or {}).get("configMapKeyRef") or {}
            if "value" in entry:
                found[entry["name"]] = str(entry["value"])
            elif reference.get("name"):
                data = _config_map(cluster, namespace, reference["name"])
                found[entry["name"]] = data.get(reference["key"], "")
    return found


def _config_map(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    found = cluster.get("v1", "configmaps", namespace, name) or {}
    return {key: str(value) for key, value in (found.get("data") or {}).items()}


def redirected(
    env: Iterator[Any] | Any, texts: Mapping[str, str], before: str, after: str
) -> list[dict[str, Any]]:
    """A container's `env` in which an address is replaced, wherever its value came from."""
    changed = {name: text.replace(before, after) for name, text in texts.items() if before in text}
    kept = [copy.deepcopy(dict(entry)) for entry in env if entry["name"] not in changed]
    return [*kept, *({"name": name, "value": text} for name, text in changed.items())]


def fails_once(domain: str, ca_bundle: str) -> str:
    """The nginx.conf of a server that answers 503 once, and sends everything else on to a domain.

    Its first upstream is closed: the one request that meets it fails, is not passed on, and takes that
    upstream out of use.
    """
    return f"""\
pid /tmp/nginx.pid;
error_log stderr;
daemon off;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  log_format seen '{_SEEN} $status';
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  upstream domain {{
    server 127.0.0.1:1 weight=1000 max_fails=1 fail_timeout=1h;
    server {domain}:443 max_fails=0;
  }}
  server {{
    listen {_PORT};
    access_log /dev/stdout seen;
    error_page 502 504 =503 @failed;
    location / {{
      proxy_pass https://domain;
      proxy_next_upstream off;
      proxy_connect_timeout 5s;
      proxy_http_version 1.1;
      proxy_set_header Host {domain};
      proxy_set_header Connection "";
      proxy_ssl_name {domain};
      proxy_ssl_server_name on;
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 3;
      proxy_ssl_trusted_certificate {ca_bundle};
    }}
    location @failed {{ return 503; }}
  }}
  server {{
    listen {_READY_PORT};
    location = /ready {{ return 200; }}
  }}
}}
"""


def _answers(lines: Any) -> Iterator[int]:
    for line in lines:
        word, _, status = str(line).partition(" ")
        if word == _SEEN and status.strip().isdigit():
            yield int(status)


def _pod(namespace: str, image: str, configuration: str, seconds: float) -> dict[str, Any]:
    user = 101  # `nginx` of the official images
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": FAILS_ONCE,
            "labels": {
                "app.kubernetes.io/name": FAILS_ONCE,
                "app.kubernetes.io/managed-by": "landfall",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": max(1, int(seconds)),
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "nginx",
                    "image": image,
                    "command": ["sh", "-c", _START, "start", configuration],
                    "ports": [{"containerPort": _PORT}],
                    "readinessProbe": {
                        "httpGet": {"path": "/ready", "port": _READY_PORT},
                        "periodSeconds": 1,
                    },
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"memory": "64Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "temporary", "mountPath": "/tmp"}],  # noqa: S108 - in the container
                }
            ],
            "volumes": [{"name": "temporary", "emptyDir": {}}],
        },
    }
