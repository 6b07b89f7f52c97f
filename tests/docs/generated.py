"""What the documentation takes from the code, so that a picture can't tell another story than the table it is of.

A page holds the text between two markers; the first names the fence's language and the function that renders it:

    <!-- generated: mermaid resonate.some.module:function -->
    ...
    <!-- end of generated -->

`python -m tests.docs.generated` writes the text anew; with `--check` it only says what is out of date. The language
`markdown` puts the text in as it is, without a fence.
"""

from __future__ import annotations

import importlib
import re
import sys

from tests.docs.pages import ROOT, pages

MARKED = re.compile(
    r"^<!-- generated: (?P<language>\w+) (?P<module>[\w.]+):(?P<function>\w+) -->\n"
    r"(?P<text>.*?)^<!-- end of generated -->$",
    re.MULTILINE | re.DOTALL,
)


def rendered(match: re.Match[str]) -> str:
    """Return a marked part as the code renders it today, markers included."""
    function = getattr(importlib.import_module(match["module"]), match["function"])
    text = function().strip("\n")
    if match["language"] != "markdown":
        text = f"```{match['language']}\n{text}\n```"
    opening = match[0].split("\n", 1)[0]
    return f"{opening}\n\n{text}\n\n<!-- end of generated -->"


def renewed(text: str) -> str:
    """Return a page with every marked part rendered anew."""
    return MARKED.sub(rendered, text)


def main(arguments: list[str]) -> int:
    """Renew every page, or with `--check` name those that are out of date and return 1."""
    stale = [path for path in pages() if renewed(path.read_text()) != path.read_text()]
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date")  # noqa: T201 - a command's output
        if "--check" not in arguments:
            path.write_text(renewed(path.read_text()))
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
