"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no bug, so no example has a deadline; a failure prints what reproduces it.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")
