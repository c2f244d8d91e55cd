"""What AWS, Kubernetes and Cloudflare things exist: one ComponentResource a file."""
