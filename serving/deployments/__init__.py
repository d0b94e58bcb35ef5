"""The graph's replicas, each a plain class around its engine."""
