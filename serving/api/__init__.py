"""The HTTP interface: routes by resource, over the words of `facerec_models`."""
