"""Where pictures of people come from, and what is kept of them; `training.crawling.crawl` puts the parts together."""
