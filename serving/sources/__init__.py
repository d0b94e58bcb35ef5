"""Where videos come from: a file a scheme, each answering with a local file."""
