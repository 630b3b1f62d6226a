"""What both agents are asked in the comparison: tables, and what is made from them.

A conversation is a list of steps. A step is a request (command, arguments), raw bytes, or a shell
command in the guest ("!..."). "$N.path" in an argument is a value of the reply to step N. Steps in
UNTIL are repeated until the named member of the reply is true.
"""

import base64

Step = tuple | bytes | str


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# Every command of the stock agent: arguments with type, whether required, and a harmless value.
I, S, B, SS = "integer", "string", "boolean", "strings"
ARGUMENTS: dict[str, dict[str, tuple[str, bool, object]]] = {
    "guest-sync-delimited": {"id": (I, True, 1)},
    "guest-sync": {"id": (I, True, 1)},
    "guest-ping": {},
    "guest-get-time": {},
    "guest-set-time": {"time": (I, False, 1)},
    "guest-info": {},
    "guest-shutdown": {"mode": (S, False, "nothing")},
    "guest-file-open": {"path": (S, True, "/nonexistent/x"), "mode": (S, False, "r")},
    "guest-file-close": {"handle": (I, True, 1)},
    "guest-file-read": {"handle": (I, True, 1), "count": (I, False, 1)},
    "guest-file-write": {"handle": (I, True, 1), "buf-b64": (S, True, "eA=="),
                         "count": (I, False, 1)},
    "guest-file-seek": {"handle": (I, True, 1), "offset": (I, True, 0), "whence": (I, True, 0)},
    "guest-file-flush": {"handle": (I, True, 1)},
    "guest-fsfreeze-status": {},
    "guest-fsfreeze-freeze": {},
    "guest-fsfreeze-freeze-list": {"mountpoints": (SS, False, ["/nonexistent"])},
    "guest-fsfreeze-thaw": {},
    "guest-fstrim": {"minimum": (I, False, 0)},
    "guest-suspend-disk": {},
    "guest-suspend-ram": {},
    "guest-suspend-hybrid": {},
    "guest-network-get-interfaces": {},
    "guest-network-get-route": {},
    "guest-get-vcpus": {},
    "guest-set-vcpus": {"vcpus": (SS, True, [])},
    "guest-get-disks": {},
    "guest-get-fsinfo": {},
    "guest-set-user-password": {"username": (S, True, "nobody-here"), "password": (S, True, "eA=="),
                                "crypted": (B, True, False)},
    "guest-get-memory-blocks": {},
    "guest-set-memory-blocks": {"mem-blks": (SS, True, [])},
    "guest-get-memory-block-info": {},
    "guest-exec-status": {"pid": (I, True, 0)},
    "guest-exec": {"path": (S, True, "/nonexistent/x"), "arg": (SS, False, []),
                   "env": (SS, False, []), "input-data": (S, False, ""),
                   "capture-output": (B, False, False)},
    "guest-get-host-name": {},
    "guest-get-users": {},
    "guest-get-timezone": {},
    "guest-get-osinfo": {},
    "guest-ssh-get-authorized-keys": {"username": (S, True, "nobody-here")},
    "guest-ssh-add-authorized-keys": {"username": (S, True, "nobody-here"),
                                      "keys": (SS, True, ["k"]), "reset": (B, False, False)},
    "guest-ssh-remove-authorized-keys": {"username": (S, True, "nobody-here"),
                                         "keys": (SS, True, ["k"])},
    "guest-get-diskstats": {},
    "guest-get-cpustats": {},
    "guest-get-load": {},
}
WRONG = {
    I: ("1", 1.5, 1 << 63, -(1 << 63) - 1, True, None, [], {}),
    S: (1, True, None, [], {}),
    B: ("true", 1, None, []),
    SS: ("x", 1, {}, [1], [None], [["x"]]),
}
# An alternate or a list of structures: its texts are those of the conversations below.
NOT_GENERATED = {("guest-file-seek", "whence"), ("guest-exec", "capture-output"),
                 ("guest-set-vcpus", "vcpus"), ("guest-set-memory-blocks", "mem-blks")}


def generated() -> dict[str, list[Step]]:
    """Wrong, missing and unexpected arguments of every command; none of them may have an effect."""
    cases: dict[str, list[Step]] = {}
    for command, arguments in ARGUMENTS.items():
        good = {name: value for name, (_, _, value) in arguments.items()}
        cases[f"{command}: unexpected"] = [(command, {**good, "nonsense": 1})]
        for name, (kind, required, _) in arguments.items():
            if required:
                rest = {key: value for key, value in good.items() if key != name}
                cases[f"{command}: no {name}"] = [(command, rest)]
            if (command, name) in NOT_GENERATED:
                continue
            for number, wrong in enumerate(WRONG[kind]):
                cases[f"{command}: {name} wrong {number}"] = [(command, {**good, name: wrong})]
    return cases


# What is sent as it stands. Requests that are not finished end in a reset byte.
RAW: dict[str, bytes] = {
    "empty object": b"{}", "list": b"[]", "number": b"1", "string": b'"x"', "null": b"null",
    "true": b"true", "word": b"garbage", "word with dash": b"gar-bage", "half literal": b"tru",
    "closing brace": b"}", "closing bracket": b"]", "comma": b",", "colon": b":",
    "execute is a number": b'{"execute":1}', "execute is null": b'{"execute":null}',
    "execute is a list": b'{"execute":["guest-ping"]}',
    "no execute": b'{"arguments":{}}', "only an id": b'{"id":1}',
    "another key": b'{"execute":"guest-ping","foo":1}',
    "out of band": b'{"exec-oob":"guest-ping"}',
    "out of band with id": b'{"exec-oob":"guest-ping","id":1}',
    "both": b'{"execute":"guest-ping","exec-oob":"guest-ping"}',
    "arguments null": b'{"execute":"guest-ping","arguments":null}',
    "arguments list": b'{"execute":"guest-ping","arguments":[]}',
    "arguments empty": b'{"execute":"guest-ping","arguments":{}}',
    "arguments first": b'{"arguments":{"id":5},"execute":"guest-sync"}',
    "id number": b'{"execute":"guest-ping","id":1}', "id null": b'{"execute":"guest-ping","id":null}',
    "id list": b'{"execute":"guest-ping","id":[1,{"a":"b"}]}',
    "id in an error": b'{"execute":"nope","id":{"x":1.5}}',
    "id in a bad request": b'{"id":7,"execute":1}',
    "id in bad arguments": b'{"id":"x","execute":"guest-sync","arguments":{"id":"y"}}',
    "unknown command": b'{"execute":"nope"}', "empty command": b'{"execute":""}',
    "command in capitals": b'{"execute":"GUEST-PING"}',
    "long command": b'{"execute":"' + b"x" * 1000 + b'"}',
    "command with escapes": b'{"execute":"guest\\u002dping"}',
    "command of another alphabet": '{"execute":"größe"}'.encode(),
    "command of bad UTF-8": b'{"execute":"a\xc3("}',
    "command with a quote": b'{"execute":"a\\"b"}',
    "single quotes": b"{'execute':'guest-ping'}",
    "single quotes with an escape": b"{'execute':'guest-sync','arguments':{'id':4},'id':'a\\'b'}",
    "blanks": b' {\t"execute" :\r\n "guest-ping" , "arguments" : { } } ',
    "line breaks inside": b'{\n"execute"\n:\n"guest-ping"\n}',
    "two on a line": b'{"execute":"guest-ping","id":1}{"execute":"guest-ping","id":2}',
    "good, bad, good": b'{"execute":"guest-ping"} [] {"execute":"guest-ping"}',
    "duplicate key": b'{"execute":"guest-ping","execute":"guest-ping"}',
    "duplicate argument": b'{"execute":"guest-sync","arguments":{"id":1,"id":2}}',
    "trailing comma": b'{"execute":"guest-ping",}',
    "no comma": b'{"execute":"guest-ping" "id":1}', "no colon": b'{"execute" "guest-ping"}',
    "key is a number": b'{1:"guest-ping"}', "mixed brackets": b'{"execute":["guest-ping"}]}',
    "hash": b'# {"execute":"guest-ping"}',
    "leading zero": b'{"execute":"guest-sync","arguments":{"id":01}}',
    "plus sign": b'{"execute":"guest-sync","arguments":{"id":+1}}',
    "minus": b'{"execute":"guest-sync","arguments":{"id":-}}',
    "minus zero": b'{"execute":"guest-sync","arguments":{"id":-0}}',
    "exponent": b'{"execute":"guest-sync","arguments":{"id":1e3}}',
    "fraction of nothing": b'{"execute":"guest-sync","arguments":{"id":1.}}',
    "largest": b'{"execute":"guest-sync","arguments":{"id":9223372036854775807}}',
    "smallest": b'{"execute":"guest-sync","arguments":{"id":-9223372036854775808}}',
    "one too large": b'{"execute":"guest-sync","arguments":{"id":9223372036854775808}}',
    "far too large": b'{"execute":"guest-sync","arguments":{"id":99999999999999999999}}',
    "milliseconds since 1970": b'{"execute":"guest-sync","arguments":{"id":1790000000000}}',
    "bad escape": b'{"execute":"guest-ping","id":"\\x"}',
    "half a surrogate": b'{"execute":"guest-ping","id":"\\ud800"}',
    "surrogate pair": b'{"execute":"guest-ping","id":"\\ud83d\\ude00"}',
    "escaped NUL": b'{"execute":"guest-ping","id":"a\\u0000b"}',
    "NUL": b'{"execute":"guest-ping"\x00}', "control character in a string":
        b'{"execute":"guest-ping","id":"a\x01b"}',
    "a line break in a string": b'{"execute":"guest-ping","id":"a\nb"}',
    "deep": b'{"execute":"guest-ping","id":' + b"[" * 200 + b"]" * 200 + b"}",
    "too deep": b"[" * 1100 + b"]" * 1100,
    "delimited": b'{"execute":"guest-sync-delimited","arguments":{"id":77}}',
    "delimited, then ping": b'{"execute":"guest-sync-delimited","arguments":{"id":7}}\n'
                            b'{"execute":"guest-ping","arguments":{}}\n',
    "delimited with a bad id": b'{"execute":"guest-sync-delimited","arguments":{"id":"x"}}',
    "reset before a request": b'\xff{"execute":"guest-ping"}',
    "reset after half a request": b'{"execute":"guest-pi\xff{"execute":"guest-ping"}',
    "half a request": b'{"execute":"guest-pi', "half an object": b'{"execute":"guest-ping"',
    "half a list": b"[1,2",
}
UNFINISHED = {"half a request", "half an object", "half a list", "bad escape",
              "a line break in a string", "control character in a string", "no colon",
              "mixed brackets", "NUL", "command of bad UTF-8", "key is a number", "no comma",
              "trailing comma", "minus", "plus sign", "leading zero", "fraction of nothing",
              "half a surrogate", "hash", "duplicate key", "duplicate argument"}

# Commands that only look, each as a host asks.
LOOKS = ("guest-ping", "guest-get-time", "guest-info", "guest-fsfreeze-status",
         "guest-network-get-interfaces", "guest-network-get-route", "guest-get-vcpus",
         "guest-get-disks", "guest-get-fsinfo", "guest-get-memory-blocks",
         "guest-get-memory-block-info", "guest-get-host-name", "guest-get-users",
         "guest-get-timezone", "guest-get-osinfo", "guest-get-diskstats", "guest-get-cpustats",
         "guest-get-load", "guest-get-devices")

USER = "compare"
HOME = "/home/compare"
KEY, KEY2 = "ssh-ed25519 AAAAC3Nza one@example", "ssh-rsa AAAAB3Nza two@example"
UNTIL = {"guest-exec-status": "exited"}
SHELL = "/bin/sh"


def run(script: str, **more) -> list[Step]:
    """A child and how it ended."""
    return [("guest-exec", {"path": SHELL, "arg": ["-c", script], **more}),
            ("guest-exec-status", {"pid": "$0.return.pid"})]


def opened(mode: str, *steps: Step, before: str = "rm -f /run/c") -> list[Step]:
    """Steps with a file whose handle is $1.return; closed at the end."""
    return [f"!{before}", ("guest-file-open", {"path": "/run/c", "mode": mode}), *steps,
            ("guest-file-close", {"handle": "$1.return"}), "!cat /run/c; stat -c %a /run/c"]


def handle(command: str, **more) -> tuple:
    return (f"guest-file-{command}",
            {"handle": "$1.return", **{key.replace("_", "-"): value for key, value in more.items()}})


CONVERSATIONS: dict[str, list[Step]] = {
    "time set": [("guest-set-time", {"time": 1790000000000000000}), "!date -u +%Y-%m-%d",
                 ("guest-set-time", {"time": -1})],
    "shutdown mode": [("guest-shutdown", {"mode": "nothing"}), ("guest-shutdown", {"mode": ""})],
    "exec true": run("true"), "exec status 7": run("exit 7"),
    "exec ended by a signal": run("kill -9 $$"),
    "exec captured": run("echo out; echo err >&2", **{"capture-output": True}),
    "exec not captured": run("echo out", **{"capture-output": False}),
    "exec captured nothing": run("true", **{"capture-output": True}),
    "exec with input": run("cat; echo x", **{"capture-output": True, "input-data": b64("in\n")}),
    "exec with empty input": run("cat", **{"capture-output": True, "input-data": ""}),
    "exec with bad input": run("cat", **{"capture-output": True, "input-data": "***"}),
    "exec with environment": run("echo $A-$B", **{"capture-output": True, "env": ["A=1", "B=2"]}),
    "exec environment otherwise": run("echo $PATH", **{"capture-output": True}),
    "exec with arguments": [
        ("guest-exec", {"path": SHELL, "arg": ["-c", 'echo "$#:$2"', "0", "a", "b c"],
                        "capture-output": True}),
        ("guest-exec-status", {"pid": "$0.return.pid"})],
    "exec by name": [("guest-exec", {"path": "true"}),
                     ("guest-exec-status", {"pid": "$0.return.pid"})],
    "exec of nothing": [("guest-exec", {"path": "/nonexistent"}), ("guest-exec", {"path": ""}),
                        ("guest-exec", {"path": "/etc"}), ("guest-exec", {"path": "/etc/passwd"})],
    "exec status twice": [*run("true"), ("guest-exec-status", {"pid": "$0.return.pid"})],
    "exec status of others": [("guest-exec-status", {"pid": 1}), ("guest-exec-status", {"pid": -1}),
                              ("guest-exec-status", {"pid": 0})],
    "exec capture modes": [
        step for mode in ("none", "stdout", "stderr", "separated", "merged", "nonsense", "")
        for step in [("guest-exec", {"path": "/bin/true", "capture-output": mode})]],
    "exec output of 100 KiB": [*run("yes | head -c 102400", **{"capture-output": True})],
    "exec where": run("pwd; umask; ulimit -n >/dev/null; ps -o pgid= -p $$ | tr -d ' 0-9'",
                      **{"capture-output": True}),
    "file of nothing": [("guest-file-open", {"path": "/nonexistent/x"}),
                        ("guest-file-open", {"path": "/etc"}),
                        ("guest-file-open", {"path": ""}),
                        ("guest-file-open", {"path": "/run/c", "mode": "z"}),
                        ("guest-file-open", {"path": "/run/c", "mode": ""}),
                        ("guest-file-open", {"path": "/run/c", "mode": "rw"}),
                        ("guest-file-open", {"path": "/etc", "mode": "w"})],
    "file handles unknown": [
        ("guest-file-close", {"handle": 1}), ("guest-file-read", {"handle": -1}),
        ("guest-file-write", {"handle": 0, "buf-b64": "eA=="}), ("guest-file-flush", {"handle": 9}),
        ("guest-file-seek", {"handle": 9, "offset": 0, "whence": 0})],
    "file written": opened("w", handle("write", buf_b64=b64("hello")), handle("flush")),
    "file written in part": opened("w", handle("write", buf_b64=b64("hello"), count=2)),
    "file written too much": opened("w", handle("write", buf_b64=b64("hello"), count=9),
                                    handle("write", buf_b64=b64("hello"), count=-1),
                                    handle("write", buf_b64="***"), handle("write", buf_b64="")),
    "file read": opened("r", handle("read"), handle("read"), handle("seek", offset=1, whence=0),
                        handle("read", count=2), handle("read", count=0), handle("read", count=-1),
                        handle("read", count=48 << 20), handle("read", count=(48 << 20) + 1),
                        before="printf abcdef >/run/c"),
    "file read of nothing": opened("r", handle("read"), before=": >/run/c"),
    "file read of bytes": opened("r", handle("read"), before=r"printf '\000\377\n' >/run/c"),
    "file sought": opened(
        "r", *(handle("seek", offset=offset, whence=whence) for offset, whence in
               ((0, "end"), (-2, "end"), (1, "cur"), (3, "set"), (0, 0), (1, 1), (-1, 2), (99, 0),
                (-1, 0), (0, 3), (0, "there"), (0, True))), before="printf abcdef >/run/c"),
    "file appended": opened("a", handle("write", buf_b64=b64("y")), before="printf x >/run/c"),
    "file read and written": opened(
        "r+", handle("read", count=2), handle("write", buf_b64=b64("Z")),
        handle("seek", offset=0, whence="set"), handle("read"), before="printf abcdef >/run/c"),
    "file truncated and read": opened(
        "w+", handle("write", buf_b64=b64("abc")), handle("seek", offset=0, whence="set"),
        handle("read")),
    "file read that is for writing": opened("w", handle("read"), before="printf abc >/run/c"),
    "file written that is for reading": opened("r", handle("write", buf_b64=b64("x")),
                                               before="printf abc >/run/c"),
    "file open modes": ["!printf x >/run/c", *(
        ("guest-file-open", {"path": "/run/c", "mode": mode}) for mode in
        ("rb", "ab", "r+b", "rb+", "a+b", "ab+", "a+", "wb", "w+b", "br", "x", "r ", "rbb"))],
    "file with the rights of others": [
        "!rm -f /run/c", ("guest-file-open", {"path": "/run/c", "mode": "w"}), "!stat -c %a /run/c",
        ("guest-file-close", {"handle": "$1.return"}), "!chmod 600 /run/c",
        ("guest-file-open", {"path": "/run/c", "mode": "w"}), "!stat -c %a /run/c"],
    "file closed twice": [*opened("w"), ("guest-file-close", {"handle": "$1.return"})],
    "freeze": [("guest-fsfreeze-freeze", None), ("guest-fsfreeze-status", None),
               ("guest-fsfreeze-freeze", None), ("guest-fsfreeze-thaw", None),
               ("guest-fsfreeze-thaw", None), ("guest-fsfreeze-status", None)],
    "freeze of one": [("guest-fsfreeze-freeze-list", {"mountpoints": ["/srv/data"]}),
                      ("guest-fsfreeze-status", None), ("guest-fsfreeze-thaw", None)],
    "freeze of none": [("guest-fsfreeze-freeze-list", {"mountpoints": ["/nonexistent"]}),
                       ("guest-fsfreeze-status", None), ("guest-fsfreeze-thaw", None)],
    "freeze of an empty list": [("guest-fsfreeze-freeze-list", {"mountpoints": []}),
                                ("guest-fsfreeze-status", None), ("guest-fsfreeze-thaw", None)],
    "freeze of a list without one": [("guest-fsfreeze-freeze-list", {}),
                                     ("guest-fsfreeze-thaw", None)],
    "trim": [("guest-fstrim", None), ("guest-fstrim", {"minimum": 1 << 20})],
    "trim with a wrong minimum": [("guest-fstrim", {"minimum": -1})],
    "vcpus set": [
        ("guest-set-vcpus", {"vcpus": []}),
        ("guest-set-vcpus", {"vcpus": [{"logical-id": 1, "online": False}]}),
        ("guest-get-vcpus", None),
        ("guest-set-vcpus", {"vcpus": [{"logical-id": 1, "online": False}]}),
        ("guest-set-vcpus", {"vcpus": [{"logical-id": 1, "online": True},
                                       {"logical-id": 99, "online": True}]}),
        ("guest-set-vcpus", {"vcpus": [{"logical-id": 99, "online": True}]}),
        ("guest-set-vcpus", {"vcpus": [{"logical-id": -1, "online": True}]}),
        ("guest-set-vcpus", {"vcpus": [{"logical-id": 0, "online": True}]}),
        ("guest-get-vcpus", None)],
    "vcpus set wrongly": [
        ("guest-set-vcpus", {"vcpus": wrong}) for wrong in
        ("x", {}, [1], [{}], [{"logical-id": 1}], [{"online": True}],
         [{"logical-id": "1", "online": True}], [{"logical-id": 1, "online": 1}],
         [{"logical-id": 1, "online": True, "x": 1}],
         [{"logical-id": 0, "online": True, "can-offline": False}],
         [{"logical-id": 0, "online": True}, {"logical-id": 1}])],
    "memory blocks set": [
        ("guest-set-memory-blocks", {"mem-blks": []}),
        ("guest-set-memory-blocks", {"mem-blks": [{"phys-index": 999999, "online": True}]}),
        ("guest-set-memory-blocks", {"mem-blks": [{"phys-index": 0, "online": True}]})],
    "memory blocks set wrongly": [
        ("guest-set-memory-blocks", {"mem-blks": wrong}) for wrong in
        ("x", [1], [{}], [{"phys-index": 1}], [{"phys-index": -1, "online": True}],
         [{"phys-index": "1", "online": True}], [{"phys-index": 1, "online": "x"}])],
    "password": [
        f"!useradd -m {USER} 2>/dev/null; true",
        ("guest-set-user-password", {"username": USER, "password": b64("secret"),
                                     "crypted": False}),
        f"!getent shadow {USER} | cut -d: -f2 | cut -c1-2",
        ("guest-set-user-password", {"username": USER, "password": b64("$6$abc$def"),
                                     "crypted": True}),
        f"!getent shadow {USER} | cut -d: -f2"],
    "password refused": [
        ("guest-set-user-password", {"username": name, "password": password, "crypted": False})
        for name, password in (("nobody-here", b64("x")), (USER, "***"), (USER, b64("a\nb")),
                               (f"{USER}:x", b64("x")), (f"{USER}\nroot", b64("x")), ("", b64("x")),
                               (USER, ""))],
    "keys": [
        f"!useradd -m {USER} 2>/dev/null; rm -rf {HOME}/.ssh",
        ("guest-ssh-get-authorized-keys", {"username": USER}),
        ("guest-ssh-add-authorized-keys", {"username": USER, "keys": [KEY]}),
        ("guest-ssh-add-authorized-keys", {"username": USER, "keys": [KEY, KEY2]}),
        ("guest-ssh-get-authorized-keys", {"username": USER}),
        f"!stat -c '%a %U:%G' {HOME}/.ssh {HOME}/.ssh/authorized_keys; "
        f"cat {HOME}/.ssh/authorized_keys",
        ("guest-ssh-remove-authorized-keys", {"username": USER, "keys": [KEY, "unknown"]}),
        f"!cat {HOME}/.ssh/authorized_keys",
        ("guest-ssh-add-authorized-keys", {"username": USER, "keys": [KEY], "reset": True}),
        f"!cat {HOME}/.ssh/authorized_keys",
        ("guest-ssh-add-authorized-keys", {"username": USER, "keys": [], "reset": True}),
        ("guest-ssh-get-authorized-keys", {"username": USER})],
    "keys kept as they are": [
        f"!mkdir -p {HOME}/.ssh; printf '# note\\n\\n{KEY}\\n' >{HOME}/.ssh/authorized_keys",
        ("guest-ssh-get-authorized-keys", {"username": USER}),
        ("guest-ssh-add-authorized-keys", {"username": USER, "keys": [KEY2]}),
        f"!cat {HOME}/.ssh/authorized_keys"],
    "keys refused": [
        ("guest-ssh-add-authorized-keys", {"username": USER, "keys": keys})
        for keys in (["# comment"], [""], ["a\nb"], ["x y\rz"])],
    "keys of nobody": [
        ("guest-ssh-get-authorized-keys", {"username": "nobody-here"}),
        ("guest-ssh-get-authorized-keys", {"username": ""}),
        ("guest-ssh-add-authorized-keys", {"username": "nobody-here", "keys": [KEY]}),
        ("guest-ssh-remove-authorized-keys", {"username": "nobody-here", "keys": [KEY]})],
    "timezone with a name": ["!ln -sf /usr/share/zoneinfo/America/St_Johns /etc/localtime",
                             ("guest-get-timezone", None), "!rm -f /etc/localtime"],
    "host name changed": ["!hostname other", ("guest-get-host-name", None),
                          "!hostname quiesced-guest"],
}

# What a host may ask while filesystems are frozen; nothing that would end the machine.
WHILE_FROZEN = tuple(
    (command, {name: value for name, (_, required, value) in arguments.items() if required} or None)
    for command, arguments in ARGUMENTS.items()
    if command not in ("guest-shutdown", "guest-suspend-disk", "guest-suspend-ram",
                       "guest-suspend-hybrid", "guest-fsfreeze-thaw", "guest-set-time",
                       "guest-fsfreeze-freeze-list"))
