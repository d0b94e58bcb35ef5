"""The pages that `ui.app` serves."""
