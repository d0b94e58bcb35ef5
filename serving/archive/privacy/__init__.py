"""What a project keeps of people and for how long, what was agreed with them, and all that is known of one of them."""
