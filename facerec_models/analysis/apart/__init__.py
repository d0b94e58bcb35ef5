"""Videos that are opened in processes of their own, which nothing but what was found in them leaves."""
