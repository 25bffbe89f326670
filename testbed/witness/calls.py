"""Claim `silent-calls`: what a node asked the kernel for, as tracepoints saw it. No I/O here.

Calls that only read, wait, or work on what a process has already are QUIET. The others are told
with their arguments, and each has to be one of DECLARED. A call that is neither is evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from testbed.agent import Answer
from testbed.contract import DATABASE, SPOOL
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.witness.agent.calls import PROBES
from testbed.witness.inside import caller, excerpt, none_lost, unseen

CLAIM = "silent-calls"

_OWN = """
    brk mmap munmap mprotect mremap madvise mincore membarrier mlock mlock2 munlock futex futex_wait
    futex_wake futex_waitv set_robust_list get_robust_list rseq arch_prctl set_tid_address
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack
    restart_syscall pause clone clone3 fork vfork wait4 waitid exit exit_group kill tkill tgkill
    pidfd_open pidfd_send_signal uretprobe uprobe
"""
"""Memory, threads and signals of one's own."""

_OPEN = """
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek close close_range
    dup dup2 dup3 pipe pipe2 eventfd eventfd2 signalfd4 timerfd_create timerfd_settime
    timerfd_gettime sendfile fsync fdatasync ftruncate flock poll ppoll select pselect6
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 getdents getdents64
    fstat newfstatat stat lstat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat
    getcwd chdir fchdir socketpair accept accept4 getsockname getpeername getsockopt recvfrom
    recvmsg recvmmsg shutdown
"""
"""What is done with descriptors that are open already, and what only looks."""

_QUESTIONS = """
    getpid getppid gettid getuid geteuid getgid getegid getgroups getresuid getresgid getpgrp
    getpgid getsid getrusage getrlimit times sysinfo uname clock_gettime clock_getres
    clock_nanosleep nanosleep gettimeofday time getrandom getcpu getpriority sched_getaffinity
    sched_getparam sched_getscheduler sched_yield setitimer getitimer
"""

QUIET = frozenset(f"{_OWN} {_OPEN} {_QUESTIONS}".split())
"""Calls that leave nothing when the process has gone, and show nothing to others meanwhile."""

_WAL = re.escape(f"{SPOOL}/{DATABASE}-wal")
_JOURNAL = re.escape(f"{SPOOL}/{DATABASE}-journal")
_SPAWNED = (
    r"/usr/bin/python3 (-\w+ )*-c from multiprocessing\.(spawn|resource_tracker) import \w+;? ?"
    r"\w+\((\w+=)?\d{1,2}(, \w+=\d{1,2})?\)( --multiprocessing-fork)?"
)

DECLARED: Mapping[str, str] = {
    "openat": rf"[0-9a-f]+ (/dev/null|{re.escape(SPOOL)}/{re.escape(DATABASE)}(-wal)?)",
    "unlink": _WAL,
    "mkdir": re.escape(SPOOL),
    "prctl": "4",
    "setpriority": "0 0 10",
    "prlimit64": "0 [49]",
    "fcntl": r"[56] [012] 107374182[456] (1|510)|6 2 (0 0|1073741824 2)",
    "execve": r"(/usr(/local)?)?/s?bin/(python3|remailer)",
    "exec": _SPAWNED,
}
"""Of the calls that are told, what a node needs: their arguments, as they are told.

prctl 4: PR_SET_DUMPABLE. setpriority: peeling is nicer than the rest. fcntl: SQLite's own locks,
at the first GiB of a file, and that it gives them back. prlimit64: of itself RLIMIT_CORE and
RLIMIT_AS. exec: its own workers.
"""

LAST = "fcntl\t6 2 0 0"
"""A spool is closed."""

ONCE: Mapping[str, str] = {"openat": rf"[0-9a-f]+ {_JOURNAL}", "unlink": _JOURNAL}
"""What making a spool needs, at the first start."""

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr",
                     "lremovexattr", "fremovexattr", "fallocate", "ioctl", "fcntl"), "attribute"),
    **dict.fromkeys(("memfd_create", "shmget", "msgget", "semget", "mq_open", "add_key",
                     "request_key", "keyctl"), "memory"),
    **dict.fromkeys(("prctl", "setpriority", "setrlimit", "prlimit64", "umask",
                     "sched_setaffinity"), "title"),
    "openssl": "generator",
    **dict.fromkeys(("execve", "execveat", "exec"), "program"),
}  # fmt: skip
"""What a leak by a told call is called; all others are names of files."""

SOCKET_CALLS = frozenset(
    {"socket", "bind", "listen", "connect", "sendto", "sendmsg", "sendmmsg", "setsockopt"}
)
"""Told, and judged by silent-sockets."""

TRIED = ("memfd_create", "mkdir", "setxattr", "umask")
"""Of what is told one by one, and of what the kernel counts."""


def ended(node: str, answer: Answer, programs: Answer | Sequence[str], uid: int) -> Finding:
    """The row of a node that has been stopped."""
    closed = LAST in answer.get("texts", {})
    last = Control("that it gives up SQLite's locks at its end is seen", closed, "fcntl")
    return row(node, answer, programs, uid, more=[last])


def row(
    node: str,
    answer: Answer,
    programs: Answer | Sequence[str],
    uid: int,
    more: Sequence[Control] = (),
) -> Finding:
    """One node's row. `programs`: the command lines that Docker starts in it; its `uid`."""
    if isinstance(programs, dict):
        return unseen(CLAIM, node, programs["why"])
    if why := answer.get("why") or answer.get("unseen_calls"):
        return unseen(CLAIM, node, why)
    texts: Mapping[str, Answer] = answer["texts"]
    counts = dict(_counted(answer["counts"], uid))
    started = any(_started(text, programs[:1]) for text in texts)
    found = [*_told(texts, programs), *_again(texts), *_counts(counts)]
    return judge(
        CLAIM,
        node,
        looked_at=f"{sum(counts.values()):,} system calls of {len(counts)} kinds; "
        f"{len(texts)} sets of arguments",
        controls=[
            Control("its program is seen to start", started, programs[0] if started else ""),
            Control("its syncs are counted", bool(counts.get("fdatasync")), "fdatasync"),
            none_lost(answer),
            *(
                Control(f"a {call} of ours in its mounts is seen", call in answer["tried"], call)
                for call in TRIED
            ),
            *more,
        ],
        evidence=some([evidence for _, evidence in found]),
        kind=found[0][0] if found else "",
    )  # fmt: skip


def _counted(counts: Mapping[str, int], uid: int) -> Iterator[tuple[str, int]]:
    """Calls by name, without root's: Docker and we are root in a node, who never is."""
    for key, count in counts.items():
        whose, _, name = key.partition(" ")
        if int(whose) == uid:
            yield name, count


def _counts(counts: Mapping[str, int]) -> Iterator[tuple[str, Evidence]]:
    for name, count in sorted(counts.items()):
        if name not in QUIET and name not in PROBES:
            yield "other", Evidence(name, f"{count} times: no remailer needs this system call")


def _told(texts: Mapping[str, Answer], programs: Sequence[str]) -> Iterator[tuple[str, Evidence]]:
    """Each told call that isn't declared: its kind, and what is to be seen of it."""
    for text, one in texts.items():
        call, _, what = text.partition("\t")
        if call in SOCKET_CALLS or _declared(call, what, programs):
            continue
        shown = _command_line(what) if call == "exec" else what
        kind = KINDS.get(call, "name")
        yield (
            kind,
            Evidence(call, f"{excerpt(shown)}, {one['count']} times", Context(process=caller(one))),
        )


def _again(texts: Mapping[str, Answer]) -> Iterator[tuple[str, Evidence]]:
    """What may be called once, and was called again, in whatever words."""
    for call, pattern in ONCE.items():
        same = [text for text in texts if re.fullmatch(rf"{call}\t{pattern}", text)]
        times = sum(texts[text]["count"] for text in same)
        if times > 1:
            what = same[-1].partition("\t")[2]
            yield "name", Evidence(call, f"{excerpt(what)}, {times} times: once is enough")


def _declared(call: str, what: str, programs: Sequence[str]) -> bool:
    if call == "exec":
        said = _command_line(what)
        return _started(f"exec\t{what}", programs) or bool(re.fullmatch(DECLARED[call], said))
    patterns = [table[call] for table in (DECLARED, ONCE) if call in table]
    return any(re.fullmatch(pattern, what) for pattern in patterns)


def _started(text: str, programs: Sequence[str]) -> bool:
    """Whether an `exec` is the start of one of these: as Docker was told, or by its interpreter."""
    call, _, what = text.partition("\t")
    if call != "exec":
        return False
    size, said = int(what.partition(" ")[0]), _command_line(what)
    for program in programs:
        for whole in (program, f"/usr/bin/python3 -IB /usr/local/bin/{program}"):
            # A long line is told in part, but with its length.
            if said and whole.startswith(said) and size == len(whole) + 1:
                return True
    return False


def _command_line(what: str) -> str:
    """The arguments of an `exec`, with blanks between them."""
    data = bytes.fromhex(what.partition(" ")[2].replace("\\x", ""))
    return data.rstrip(b"\0").replace(b"\0", b" ").decode("latin-1")
