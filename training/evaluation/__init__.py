"""How good a model is, against what is known to be true."""
