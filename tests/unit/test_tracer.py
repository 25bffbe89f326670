"""What bpftrace says, added up: texts as they come, sets of numbers as the kernel counted them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.witness.agent import calls
from testbed.witness.agent.tracer import Heard

ALPHA, BRAVO = 4026532001, 4026532002
LOCK = "5 1 1073741824 1"


def heard() -> Heard:
    return Heard({"alpha": ALPHA, "bravo": BRAVO})


def line(kind: str, data: Any) -> bytes:
    return json.dumps({"type": kind, "data": data}).encode()


def locks(*keys: str) -> bytes:
    """The map of fcntl; each key was counted three times."""
    return line("map", {"@told_fcntl": dict.fromkeys(keys, 3)})


def test_numbers_are_told_as_texts_are_at_their_node_only() -> None:
    one = heard()
    one.take(line("printf", f"mkdir\t{ALPHA}\t7\t20001\tpython3\t/tmp/x\n"))
    one.take(locks(f"{ALPHA},0,20001,python3,5,1,1073741824,1", "4026539999,0,0,other,5,1,1,1"))
    assert one.told["alpha"].all == {
        "mkdir\t/tmp/x": {"count": 1, "pid": 7, "uid": 20001, "command": "python3"},
        f"fcntl\t{LOCK}": {"count": 3, "uid": 20001, "command": "python3"},
    }
    assert one.told["bravo"].all == {}


def test_what_several_programs_asked_for_is_added_and_a_map_told_again_is_not() -> None:
    one = heard()
    keys = [f"{ALPHA},0,20001,{command},5,1,1073741824,1" for command in ("python3", "sqlite3")]
    one.take(locks(*keys))
    one.take(locks(*keys))
    assert one.told["alpha"].all[f"fcntl\t{LOCK}"]["count"] == 6


def test_a_command_may_have_commas_in_its_name() -> None:
    one = heard()
    one.take(locks(f"{ALPHA},0,20001,a,5,b,5,1,1073741824,1"))
    assert one.told["alpha"].all[f"fcntl\t{LOCK}"]["command"] == "a,5,b"


@pytest.mark.parametrize(("number", "text"), [(21523, "5413"), (-1, "f" * 16)])
def test_hexadecimal_stays_so_and_has_no_sign(number: int, text: str) -> None:
    one = heard()
    one.take(line("map", {"@told_ioctl": {f"{BRAVO},0,20002,python3,{number}": 1}}))
    assert list(one.told["bravo"].all) == [f"ioctl\t{text}"]


def test_what_our_own_process_did_is_nobodys_and_known_to_have_been_seen() -> None:
    one = heard()
    one.take(locks(f"{ALPHA},1,0,python3,5,1,1073741824,1"))
    assert one.told["alpha"].all == {}
    assert one.told["alpha"].tried == {"fcntl"}


def test_what_it_tells_of_itself_when_it_ends_is_passed_over() -> None:
    one = heard()
    one.take(line("map", {"@watched": {str(ALPHA): 1}, "@at": {}}))
    one.take(b'{"type": "printf", "data": "mkdir\\t%d\\t7\\t1\\t\xff\\tx"}' % ALPHA)
    assert list(one.told["alpha"].all) == ["mkdir\tx"]


def test_a_map_that_is_full_has_lost_something() -> None:
    one = heard()
    one.take(locks(*(f"{ALPHA},0,20001,python3,5,1,{n},1" for n in range(calls.MOST_KEYS))))
    assert one.lost


def test_each_call_whose_arguments_are_numbers_has_a_map_that_is_told() -> None:
    text = calls.program([ALPHA], calls.PROBES.keys(), [], [], 1)
    for call, probe in calls.PROBES.items():
        assert (f"print(@told_{call});" in text) == (call in calls.COUNTED) == probe.counted
        assert (f'printf("{call}\\t' in text) != probe.counted


@pytest.mark.parametrize(
    ("helper", "code", "lost"),
    [("map_update_elem", -110, 1), ("map_update_elem", -17, 0), ("map_delete_elem", -2, 0)],
)
def test_what_the_kernel_could_not_count_is_lost_and_nothing_ends(
    helper: str, code: int, lost: int
) -> None:
    """Such a line has no data (bpftrace 0.23, JsonOutput::helper_error)."""
    one = heard()
    told = {"type": "helper_error", "msg": "words", "helper": helper, "retcode": code, "line": 1}
    one.take(json.dumps(told).encode())
    assert one.lost == lost
    assert one.refused == (f"{helper}: words" if lost else "")
    one.take(line("printf", f"mkdir\t{ALPHA}\t7\t20001\tpython3\t/tmp/x\n"))
    assert one.told["alpha"].all
