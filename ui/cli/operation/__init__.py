"""Commands that run and keep the installation: the service, the store, the weights."""
