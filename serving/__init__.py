"""The service: Ray Serve deployments over `facerec_models`, the HTTP interface, the store."""
