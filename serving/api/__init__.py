"""The HTTP interface: routes by resource, over the types of `facerec_models`."""
