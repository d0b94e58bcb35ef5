"""Work that outlives a request: submitted, run, resumed, cancelled."""
