"""What becomes of a result: tables, pictures and an annotated video."""
