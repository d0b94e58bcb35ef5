"""Where pictures of people come from, and what is kept of them; `training.crawl` puts the parts together."""
