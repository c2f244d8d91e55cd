"""The forwarder's configuration, judged by nginx itself where it is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from components.forwarder import Route, forwarding_selector, nginx_configuration

BILL = Route("bill.truewatch.com", "webportal", 8080, {"app": "boss"})
ALSO = Route("pay.truewatch.com", "webportal", 8080, {"app": "boss"})
OTHER = Route("core.truewatch.com", "corestone", 8080, {"app": "corestone", "tier": "web"})
APART = Route("api.truewatch.com", "api", 9000, {"app": "api"})
ROUTES = [[BILL], [BILL, ALSO], [BILL, OTHER], [BILL, ALSO, OTHER, APART]]


def configuration(routes: list[Route], ca_bundle: str = "/etc/ca.crt") -> str:
    """The configuration for two target addresses."""
    return nginx_configuration("billing", routes, ["203.0.113.70", "203.0.113.71"], ca_bundle, 8081)


@pytest.mark.parametrize("routes", ROUTES)
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_it_without_a_warning(routes: list[Route], tmp_path: Path) -> None:
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    path = tmp_path / "nginx.conf"
    path.write_text(configuration(routes, str(bundle)).replace("/tmp/", f"{tmp_path}/"))
    result = subprocess.run(
        ["nginx", "-e", "stderr", "-t", "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr.replace("user", ""), result.stderr


def test_the_target_is_asked_by_https_under_the_domain_and_verified() -> None:
    text = configuration([BILL])
    assert "proxy_pass https://target;" in text
    assert "proxy_ssl_name bill.truewatch.com;" in text
    assert "proxy_set_header Host bill.truewatch.com;" in text
    assert "proxy_ssl_server_name on;" in text
    assert "proxy_ssl_verify on;" in text
    assert "proxy_ssl_trusted_certificate /etc/ca.crt;" in text
    assert "server 203.0.113.70:443;" in text
    assert "server 203.0.113.71:443;" in text
    assert "non_idempotent" not in text


def test_a_request_by_an_in_cluster_name_goes_on_under_its_services_domain() -> None:
    text = configuration([BILL, ALSO, OTHER])
    assert (
        "server_name bill.truewatch.com webportal webportal.billing webportal.billing.svc"
        " webportal.billing.svc.cluster.local;" in text
    )
    assert "server_name pay.truewatch.com;" in text


def test_an_unknown_host_is_refused_only_where_it_could_mean_several_services() -> None:
    assert "listen 8080 default_server;\n    server_name bill" in configuration([BILL, ALSO])
    both = configuration([BILL, OTHER])
    assert "return 421;" in both
    assert "listen 8080 default_server;\n    server_name" not in both


def test_without_a_target_there_is_nothing_to_configure() -> None:
    with pytest.raises(ValueError, match="no ingress address"):
        nginx_configuration("billing", [BILL], [], "/etc/ca.crt", 8081)


def test_a_selector_keeps_its_keys() -> None:
    assert forwarding_selector({"app": "corestone", "tier": "web"}) == {
        "app": "landfall-forwarder",
        "tier": "landfall-forwarder",
    }
