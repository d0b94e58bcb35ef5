"""Results as documents of the web: linked data, and IIIF manifests."""
