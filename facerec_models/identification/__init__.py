"""Who the faces are: cheap, done again whenever a name, a model or a limit changes."""
