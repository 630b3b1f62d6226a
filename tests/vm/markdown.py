"""Code blocks of a Markdown file, so that tests run what the documentation says.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import re
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent


def blocks(file: str, heading: str) -> list[str]:
    """The fenced blocks of one section, as they stand; at least one."""
    text = (TOP / file).read_text(encoding="utf-8")
    fenced = re.compile(r"^```.*?^```$", re.M | re.S)
    # Headings within a block are comments of a script.
    plain = fenced.sub(lambda block: re.sub("[^\n]", " ", block[0]), text)
    start = re.search(rf"^#+ {re.escape(heading)}$", plain, re.M)
    if not start:
        raise LookupError(f"{file} has no section {heading!r}")
    end = re.compile(r"^#+ ", re.M).search(plain, start.end())
    section = text[start.end():end.start() if end else len(text)]
    found = [block.split("\n", 1)[1].rsplit("```", 1)[0] for block in fenced.findall(section)]
    if not found:
        raise LookupError(f"{file}: no code below {heading!r}")
    return found


def code_span(file: str, beginning: str) -> str:
    """The one `code span` that begins so."""
    text = (TOP / file).read_text(encoding="utf-8")
    found = re.findall(rf"`({re.escape(beginning)}[^`\n]*)`", text)
    if len(found) != 1:
        raise LookupError(f"{file} has {len(found)} code spans that begin with {beginning!r}")
    return found[0]
