"""Every way in which quiesced answers otherwise than qemu-ga, and why.

docs/compatibility.md has the same rows; `python3 compare_differences.py` prints them.
"""

from compare import ABSENT, Known

PARSE_ERROR = r'"JSON parse error, .*'

WIRE = (
    Known("text of a syntax error", "its own parser's", "jansson's, with the place",
          "a kept library reads the JSON; the class and `JSON parse error` are the same",
          command="wire", place=r"error\.desc|reply \d+: error\.desc",
          was=PARSE_ERROR, now=PARSE_ERROR),
    Known("what follows a syntax error", "an error for each leftover piece",
          "one error for one bad request",
          "a host that pairs requests with replies gets one of each",
          command="wire", place=r"reply \d+: error\..*", now=ABSENT),
    Known("an integer beyond 64 bits", "`Invalid parameter type`", "a syntax error",
          "the same for the host: it cannot mean anything",
          place=r"error\.desc", was=r'"Invalid parameter type for .*, expected: integer"',
          now=r'"JSON parse error, too big .*'),
    Known("a command's name of 1000 letters", "repeated in the error", "its beginning is",
          "an error is one short line", conversation="long command"),
    Known("`\\u0000` in a string", "taken", "refused",
          "the string would end there in every system call", conversation="escaped NUL"),
    Known("reset byte 0xFF", "answered with `JSON parse error, stray '\\ufffd'`",
          "forgets what was not finished, and says nothing",
          "it is the documented handshake; a host that does not expect an error reply "
          "after it pairs replies wrongly",
          command="wire", conversation="(reset|half) .*"),
)

NEWER = (
    Known("`guest-get-load`", "7.2 has it not", "answered",
          "newer stock agents (10.0) have it",
          command="guest-get-load"),
    Known("`guest-network-get-route`", "7.2 has it not", "answered",
          "newer stock agents (9.1) have it",
          command="guest-network-get-route"),
    Known("`guest-get-devices`", "7.2 lists it as disabled", "not known",
          "it is for Windows; newer stock agents do not list it either",
          command="guest-get-devices"),
    Known("`capture-output` as a string", "7.2 takes true and false alone",
          "`none`, `stdout`, `stderr`, `separated`, `merged`",
          "newer stock agents (8.0) take them", conversation="exec capture modes"),
    Known("`guest-exec-status` of a process it does not know", "`Invalid parameter 'pid'`",
          "`PID 4711 does not exist`", "the text that newer stock agents mean to give",
          command="guest-exec-status", place=r"error\.desc", was=r"\"Invalid parameter 'pid'\"",
          now=r'"PID -?\d+ does not exist"'),
    Known("`out-truncated`, `err-truncated`", "always with the data", "only when something is cut",
          "newer stock agents leave them out, too",
          command="guest-exec-status", place=r"return\.(out|err)-truncated", was="false",
          now=ABSENT),
    Known("`total-bytes-privileged`", "7.2 has it not", "what root alone could fill, too",
          "newer stock agents (9.1) have it",
          command="guest-get-fsinfo", place=r"return\[.*\]\.total-bytes-privileged"),
)

FREEZE = (
    Known("`guest-fsfreeze-freeze-list` of what is not mounted", "freezes nothing and answers 0",
          "an error that names it", "the host takes a snapshot of what it believes to be frozen",
          conversation="freeze of none"),
    Known("`guest-fsfreeze-freeze-list` of an empty list", "0, although its hook ran",
          "at least 1 when an application holds still", "no host thaws after a 0",
          conversation="freeze of an empty list", place="return"),
    Known("while frozen", "six commands are answered",
          "all that touch no disk are", "a poller that fails marks the agent as unsupported",
          conversation="while frozen", place="answered"),
    Known("`guest-info` while frozen", "six commands are `enabled`", "as ever",
          "KubeVirt would show AgentVersionNotSupported", command="guest-info",
          conversation="while frozen", place=r"return\..*\.enabled", was="false", now="true"),
)

INFO = (
    Known("`guest-info`: version", "that of QEMU", "that of the protocol, then quiesced's",
          "a host can tell which agent it talks to", command="guest-info", place="return.version"),
    Known("order of processors, memory blocks, disks", "as the directory gives them",
          "by number, by name", "the same question has the same answer",
          command="guest-get-[vmd]*", place=r"return \(order\)"),
    Known("`guest-info`: order of the commands", "the last one first", "by family",
          "no host goes by it", command="guest-info", place=r"return\.supported_commands \(order\)"),
    Known("`guest-info`: commands of quiesced's own", "none", "`guest-quiesce-*`",
          "the host can ask what is frozen, what would be, and how it went",
          command="guest-info", place=r"return\.supported_commands\[guest-quiesce-.*", was=ABSENT),
    Known("`guest-info`: `guest-get-load`, `guest-network-get-route`, `guest-get-devices`",
          "lists the last one alone", "lists the first two", "see those commands",
          command="guest-info",
          place=r"return\.supported_commands\[guest-(get-load|network-get-route|get-devices)\].*"),
)

NUMBERS = (
    Known("`guest-set-memory-blocks` of a number that is none", "`expects uint64`",
          "`Invalid parameter type … expected: integer`", "as for every other number",
          command="guest-set-memory-blocks", place=r"error\.desc", was=r".* expects uint64\"",
          now=r".*, expected: integer\""),
    Known("`guest-set-memory-blocks` of -1", "`not-found`, of 18446744073709551615",
          "`not-found`, of -1", "the answer names what was asked",
          command="guest-set-memory-blocks", place=r"return \(order\)|return\[(-1|1844.*)\].*",
          conversation="memory blocks set wrongly"),
)

KEYS = (
    Known("`guest-ssh-get-authorized-keys`", "in reverse order", "in the order of the file",
          "what was written comes back", command="guest-ssh-get-authorized-keys",
          place=r"return\.keys"),
    Known("the file of authorized keys", "no line end after the last key, an empty line before a "
          "new one", "a line end after each key", "`echo KEY >>authorized_keys` glued two keys "
          "together", command="shell", place="output", conversation="keys.*"),
    Known("a key with a control character", "written", "refused",
          "it is no key, and could be two", command="guest-ssh-add-authorized-keys",
          conversation="keys refused"),
    Known("keys of a user that does not exist", "`failed to lookup user 'x': Success`",
          "`failed to lookup user 'x': there is no such user`", "it was no success",
          command="guest-ssh-*", place=r"error\.desc", was=".*: Success\"",
          now=".*: there is no such user\""),
)

DIFFERENCES: tuple[Known, ...] = WIRE + NEWER + FREEZE + INFO + NUMBERS + KEYS


def rows() -> list[str]:
    """As they stand in docs/compatibility.md."""
    return [f"| {known.what} | {known.stock} | {known.ours} | {known.why} |"
            for known in DIFFERENCES]


if __name__ == "__main__":
    print("\n".join(rows()))
