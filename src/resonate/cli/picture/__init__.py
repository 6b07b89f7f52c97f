"""An execution as one HTML file: a timeline of nested bars, with waits apart from work."""

from resonate.cli.picture.page import page

__all__ = ["page"]
