"""Who calls the services that move: by which names, from where, and as seen in access logs."""
