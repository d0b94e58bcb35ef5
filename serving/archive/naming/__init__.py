"""Who the stored tracks are: naming, correcting, undoing."""
