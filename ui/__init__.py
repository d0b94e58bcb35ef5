"""What people touch: the ``facerec`` command and the page."""
