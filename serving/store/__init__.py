"""What must survive a crash: the `Store` contract and the stores that keep it."""
