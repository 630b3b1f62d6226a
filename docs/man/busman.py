"""Makes the man page org.quiesced(5) of the interface's XML: busman.py XML >PAGE.

What is described nowhere is an error, so that the page is complete. Comments have the form that
gdbus-codegen reads: "Name:", then "@argument: text" lines, then paragraphs.
"""

import re
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

HEAD = r""".\" Made of agent/bus/org.quiesced.xml; change that.
.TH ORG.QUIESCED 5 "2026" "quiesced" "File formats and interfaces"
.SH NAME
org.quiesced \- D\-Bus interface of the guest agent quiesced
.SH DESCRIPTION
The service
.BR quiesced (8)
has the name
.B org.quiesced
on the system bus and the object
.IR /org/quiesced .
Applications register there to take part in snapshots, and are asked by calls to an object of their own.
.BR quiescectl (1)
uses the same interface. Working programs are in
.IR participants.md .
"""
TAIL = r""".SH FILES
.TP
.I /usr/share/dbus\-1/system.d/org.quiesced.conf
Who may send to the service: everyone; the service decides what it does for whom.
.TP
.I /usr/share/polkit\-1/actions/org.quiesced.policy
The actions org.quiesced.register, org.quiesced.freeze and org.quiesced.thaw, denied by default.
.SH SEE ALSO
.BR quiescectl (1),
.BR quiesced.conf (5),
.BR quiesced\-hooks (7),
.BR quiesced (8),
.BR busctl (1)
"""
COMMENT = re.compile(r"<!--((?:(?!-->).)*)-->\s*<(?:interface|method|signal|property)\s+name=\"([^\"]+)\"",
                     re.S)


@dataclass
class Description:
    """A comment taken apart."""

    paragraphs: list[str]
    arguments: dict[str, str] = field(default_factory=dict)


def escape(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def described(comment: str) -> Description:
    body = textwrap.dedent(comment).strip()
    title, _, rest = body.partition(":")
    paragraphs = []
    arguments: dict[str, str] = {}
    for block in re.split(r"\n\s*\n", rest.strip()):
        for part in re.split(r"^\s*(?=@)", block, flags=re.M):
            words = " ".join(part.split())
            match = re.match(r"@(\w+): (.*)", words)
            if match:
                arguments[match[1]] = match[2]
            elif words:
                paragraphs.append(words)
    if not title:
        raise SystemExit(f"a comment without a name: {comment}")
    return Description(paragraphs, arguments)


def argument_lines(element: ElementTree.Element, description: Description) -> list[str]:
    lines = []
    for argument in element.findall("arg"):
        name = argument.get("name", "")
        if name not in description.arguments:
            raise SystemExit(f"{element.get('name')}: argument {name} is not described")
        lines += [".TP", rf".I {escape(name)}", escape(description.arguments[name])]
    return lines


def signature(element: ElementTree.Element) -> str:
    def listed(direction: str) -> str:
        return ", ".join(f"{one.get('type')} {one.get('name')}" for one in element.findall("arg")
                         if one.get("direction", "out") == direction)

    out = listed("out")
    if element.tag == "signal":
        return f"{element.get('name')} ({out})"
    return f"{element.get('name')} ({listed('in')})" + (f" -> ({out})" if out else "")


def member(element: ElementTree.Element, descriptions: dict[str, Description]) -> list[str]:
    description = descriptions[element.get("name", "")]
    if element.tag == "property":
        return [".TP", rf".B {element.get('name')} \fR({element.get('type')})",
                escape(" ".join(description.paragraphs))]
    lines = [f".SS {escape(signature(element))}"]
    for paragraph in description.paragraphs:
        lines += [".PP", escape(paragraph)]
    return lines + argument_lines(element, description)


def interface(element: ElementTree.Element, text: str) -> list[str]:
    name = element.get("name", "")
    start = text.index(f'<interface name="{name}">')
    descriptions = {match[2]: described(match[1])
                    for match in COMMENT.finditer(text, start, text.index("</interface>", start))}
    lines = [f".SH {escape(name.upper())}"]
    own = next(described(match[1]) for match in COMMENT.finditer(text) if match[2] == name)
    for paragraph in own.paragraphs:
        lines += [".PP", escape(paragraph)]
    titles = {"method": "", "property": ".SS Properties", "signal": ""}
    for tag, title in titles.items():
        members = element.findall(tag)
        if members and title:
            lines.append(title)
        for one in members:
            if one.get("name") not in descriptions:
                raise SystemExit(f"{name}.{one.get('name')} is not described")
            lines += member(one, descriptions)
    return lines


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    sys.stdout.write(HEAD)
    for element in ElementTree.fromstring(text.encode()).findall("interface"):
        print("\n".join(interface(element, text)))
    sys.stdout.write(TAIL)


main()
