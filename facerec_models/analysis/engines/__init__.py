"""Which engine computes the networks, and OpenVINO as one of them."""
