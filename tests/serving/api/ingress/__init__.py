"""What every request passes: see `serving.api.ingress`."""
