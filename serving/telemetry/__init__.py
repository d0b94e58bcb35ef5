"""What can be seen of the service while it runs: log lines, metrics, traces. No other part of it is known here."""
