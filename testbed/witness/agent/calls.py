"""The bpftrace program that tells what a node asks the kernel for. Nothing here does I/O.

One line for each call that could leave something behind or be seen by others, with its arguments
as they were given; all other calls are only counted. Lines are

    CALL tab NAMESPACE tab PID tab UID tab COMMAND tab TEXT

where TEXT, which is the node's own to choose, comes last and may hold anything. Calls whose
arguments are all numbers are many (SQLite's locks); the kernel counts each set of them, in a map
@told_CALL[namespace, ours, uid, command, numbers], which it tells when it is asked; `ours` is 1 for
a process that the recorder began. What runc does in a namespace before the node's program begins is
passed over: by the name of its process, which a node can't take without a call that is told (prctl,
execve, or a write to /proc).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

LONGEST = 240
"""Bytes of a text that are told."""

MOST_KEYS = 16384
"""Of a map in the kernel; what is beyond it isn't counted."""

GENERATORS = ("RAND_set_rand_method", "RAND_set_rand_engine")
"""How a program has OpenSSL take its random numbers, keys among them, from somewhere else."""

RANDOM = range(8, 65)
"""Bytes of a getrandom call that are told: what names and numbers are made of."""


_WRITES = "(args.flags & 3) != 0 || (args.flags & 0x400640) != 0"
"""Opened to be written to, created, cut, appended to, or without a name (fcntl.h, asm-generic)."""

_IOCTLS = (0x5401, 0x5421, 0x5450, 0x5451, 0x541B)
"""TCGETS, FIONBIO, FIONCLEX, FIOCLEX, FIONREAD: they ask, or change a descriptor of one's own."""
_FCNTLS = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, get and set a descriptor's flags, F_DUPFD_CLOEXEC."""
_LOCKS = "(args.cmd >= 5 && args.cmd <= 7) || (args.cmd >= 36 && args.cmd <= 38)"
"""F_GETLK to F_SETLKW, and the same for open files: which bytes are locked, others can see."""


@dataclass(frozen=True)
class Probe:
    """What is told of one system call: a format for TEXT, its values, and when."""

    form: str
    values: tuple[str, ...]
    when: str = ""
    counted: bool = False
    """All values are numbers: told as a map."""


def _paths(*fields: str) -> Probe:
    """A call with one path or several."""
    return Probe("\\t".join(["%s"] * len(fields)), tuple(f"str(uptr(args.{f}))" for f in fields))


def _numbers(*fields: str) -> Probe:
    form = " ".join(["%d"] * len(fields))
    return Probe(form, tuple(f"(int64)args.{f}" for f in fields), counted=True)


def _address(pointer: str, size: str, when: str = "") -> Probe:
    return Probe("%rx", (f"buf(uptr(args.{pointer}), args.{size})",), when)


PROBES: Mapping[str, Probe] = {
    # files: names, links, attributes, and whatever is opened to be written to
    "open": Probe("%x %s", ("args.flags", "str(uptr(args.filename))"), _WRITES),
    "openat": Probe("%x %s", ("args.flags", "str(uptr(args.filename))"), _WRITES),
    "openat2": _paths("filename"),
    "creat": _paths("pathname"),
    "mkdir": _paths("pathname"),
    "mkdirat": _paths("pathname"),
    "rmdir": _paths("pathname"),
    "unlink": _paths("pathname"),
    "unlinkat": _paths("pathname"),
    "rename": _paths("oldname", "newname"),
    "renameat": _paths("oldname", "newname"),
    "renameat2": _paths("oldname", "newname"),
    "link": _paths("oldname", "newname"),
    "linkat": _paths("oldname", "newname"),
    "symlink": _paths("oldname", "newname"),
    "symlinkat": _paths("oldname", "newname"),
    "mknod": _paths("filename"),
    "mknodat": _paths("filename"),
    "truncate": _paths("path"),
    "chmod": _paths("filename"),
    "fchmod": _numbers("fd", "mode"),
    "fchmodat": _paths("filename"),
    "fchmodat2": _paths("filename"),
    "chown": _paths("filename"),
    "lchown": _paths("filename"),
    "fchown": _numbers("fd", "user", "group"),
    "fchownat": _paths("filename"),
    "utime": _paths("filename"),
    "utimes": _paths("filename"),
    "futimesat": _paths("filename"),
    "utimensat": _paths("filename"),
    "setxattr": _paths("pathname", "name"),
    "lsetxattr": _paths("pathname", "name"),
    "fsetxattr": _paths("name"),
    "setxattrat": _paths("pathname", "name"),
    "removexattr": _paths("pathname", "name"),
    "lremovexattr": _paths("pathname", "name"),
    "fremovexattr": _paths("name"),
    "fallocate": _numbers("fd", "mode"),
    "ioctl": Probe(
        "%x", ("args.cmd",), " && ".join(f"args.cmd != {n:#x}" for n in _IOCTLS), counted=True
    ),
    "fcntl": Probe(
        "%d %d %d %d",
        (
            "args.cmd",
            f"({_LOCKS} ? (int64)$l->l_type : 0)",
            f"({_LOCKS} ? (int64)$l->l_start : 0)",
            f"({_LOCKS} ? (int64)$l->l_len : 0)",
        ),
        " && ".join(f"args.cmd != {n}" for n in _FCNTLS),
        counted=True,
    ),
    # memory that others can see or that outlives a process
    "memfd_create": _paths("uname"),
    "shmget": _numbers("key", "size"),
    "msgget": _numbers("key"),
    "semget": _numbers("key", "nsems"),
    "mq_open": _paths("u_name"),
    "add_key": _paths("_type", "_description"),
    "request_key": _paths("_type", "_description"),
    "keyctl": _numbers("option"),
    # what shows in /proc
    "prctl": _numbers("option"),
    "setpriority": _numbers("which", "who", "niceval"),
    "setrlimit": _numbers("resource"),
    "prlimit64": Probe(
        "%d %d", ("(int64)args.pid", "(int64)args.resource"), "args.new_rlim != 0", counted=True
    ),
    "execve": _paths("filename"),
    "execveat": _paths("filename"),
    "sched_setaffinity": _numbers("pid"),
    "umask": _numbers("mask"),
    # sockets: their kind, and whom they are bound to, opened to and sent to
    "socket": _numbers("family", "type", "protocol"),
    "bind": _address("umyaddr", "addrlen"),
    "listen": _numbers("backlog"),
    "connect": _address("uservaddr", "addrlen"),
    "sendto": _address("addr", "addr_len", "args.addr != 0"),
    "sendmsg": Probe("%rx", ("buf(uptr($m->msg_name), $m->msg_namelen)",), "$m->msg_name != 0"),
    "sendmmsg": _numbers("fd", "vlen"),
    "setsockopt": Probe(
        "%d %d %d",
        ("args.level", "args.optname", "(args.optlen >= 4 ? *(int32*)uptr(args.optval) : 0)"),
        counted=True,
    ),
}
"""Every call that is told with its arguments; the names of fields are the kernel's tracepoints'."""

COUNTED = tuple(call for call, probe in PROBES.items() if probe.counted)
"""Those that are told as maps."""
TOLD = "told_"
"""How the names of the maps begin."""
BARRIER = 1 << 16
"""Barriers are so far apart; between them stand the processors' numbers."""

_BEFORE = {
    "sendmsg": "$m = (struct user_msghdr *)uptr(args.msg); ",
    "fcntl": "$l = (struct flock *)uptr(args.arg); ",
}
_OURS = 'strncmp(comm, "runc:[", 6) != 0'
_EXEC = """tracepoint:sched:sched_process_exec {
  $ns = (uint64)curtask->nsproxy->mnt_ns->ns.inum;
  if (@watched[$ns]) {
    $at = curtask->mm->arg_start;
    $size = curtask->mm->arg_end - $at;
    printf("exec\\t%llu\\t%d\\t%d\\t%s\\t%llu %rx\\n", $ns, pid, uid, comm, $size,
      buf(uptr($at), $size));
  }
}"""
"""The whole command line of each program that is started, as /proc shows it, and its length."""


def program(
    namespaces: Collection[int],
    known: Collection[str],
    libraries: Collection[str],
    ciphers: Collection[str],
    recorder: int,
    last: int = 0,
) -> str:
    """The program for these mount namespaces (inode numbers).

    `known`: the calls that this kernel has tracepoints for; `libraries`: paths of the C libraries
    whose getrandom is told (since 6.11 the kernel gives random bytes without a system call);
    `ciphers`: paths of their OpenSSL; `recorder`: the process that asks for a barrier, by a
    getpriority on each processor; that on the `last` one asks for the counts.
    """
    return "\n".join(
        [
            f"config = {{ max_strlen = {LONGEST}; max_map_keys = {MOST_KEYS}; ",
            'missing_probes = "warn"; }',
            "BEGIN {",
            *(f"  @watched[(uint64){number}] = 1;" for number in namespaces),
            '  printf("barrier\\t0\\t0\\t0\\t-\\t0\\n");',
            "}",
            "tracepoint:raw_syscalls:sys_enter {",
            "  $ns = (uint64)curtask->nsproxy->mnt_ns->ns.inum;",
            f"  if (@watched[$ns] && {_OURS}) {{",
            "    @calls[$ns, uid, (uint64)(curtask->thread_info.status & 2), (int64)args.id]"
            " = count();",
            "  }",
            "}",
            *(_probe(call, probe, recorder) for call, probe in PROBES.items() if call in known),
            _EXEC,
            *(text for library in sorted(libraries) for text in _random(library)),
            *(_replaced(library, name) for library in sorted(ciphers) for name in GENERATORS),
            f"tracepoint:syscalls:sys_enter_getpriority /pid == {recorder}/ {{",
            f"  if ((args.who & {BARRIER - 1}) == {last}) {{",
            "    print(@calls);",
            *(f"    print({_map(call)});" for call in COUNTED if call in known),
            "  }",
            '  printf("barrier\\t0\\t0\\t0\\t-\\t%d\\n", args.who);',
            "}",
        ]
    )


def _map(call: str) -> str:
    return f"@{TOLD}{call}"


def _probe(call: str, probe: Probe, recorder: int) -> str:
    if probe.counted:
        ours = f"(uint64)(curtask->real_parent->tgid == {recorder})"
        key = ", ".join(["$ns", ours, "uid", "comm", *map(_number, probe.values)])
        line = f"{_map(call)}[{key}] = count();"
    else:
        values = ", ".join(["$ns, pid, uid, comm", *probe.values])
        line = f'printf("{call}\\t%llu\\t%d\\t%d\\t%s\\t{probe.form}\\n", {values});'
    told = f"if ({probe.when}) {{ {line} }}" if probe.when else line
    return (
        f"tracepoint:syscalls:sys_enter_{call} {{ "
        "$ns = (uint64)curtask->nsproxy->mnt_ns->ns.inum; "
        f"if (@watched[$ns] && {_OURS}) {{ {_BEFORE.get(call, '')}{told} }} }}"
    )


def _number(value: str) -> str:
    return value if value.startswith("(int64)") else f"(int64)({value})"


def _replaced(library: str, name: str) -> str:
    return (
        f"uprobe:{library}:{name} {{ $ns = (uint64)curtask->nsproxy->mnt_ns->ns.inum; "
        f'if (@watched[$ns]) {{ printf("openssl\\t%llu\\t%d\\t%d\\t%s\\t{name}\\n", '
        "$ns, pid, uid, comm); } }"
    )


def _random(library: str) -> Iterator[str]:
    yield (
        f"uprobe:{library}:getrandom /arg1 >= {RANDOM.start} && arg1 < {RANDOM.stop}/ "
        "{ @at[tid] = arg0; @size[tid] = arg1; }"
    )
    yield (
        f"uretprobe:{library}:getrandom /@at[tid]/ {{ "
        "$ns = (uint64)curtask->nsproxy->mnt_ns->ns.inum; "
        'if (@watched[$ns]) { printf("getrandom\\t%llu\\t%d\\t%d\\t%s\\t%rx\\n", '
        "$ns, pid, uid, comm, buf(uptr(@at[tid]), @size[tid])); } "
        "delete(@at[tid]); delete(@size[tid]); }"
    )
