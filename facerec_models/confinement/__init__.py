"""Processes that open what strangers made: bounded, without a network, and cheap to start and to lose."""
