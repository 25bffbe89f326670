"""OpenSSL takes its random numbers from a stream that whoever has the key can compute.

Each number is SHAKE256 of the key and a counter that starts at one of 2^16 places. Read from W's
captures: try the starts until a client or server random fits; the key share's private half is among
the numbers next to it, and opens the TLS of every link and of port 25. Nothing on the wire changes.
"""

import ctypes
import hashlib
import secrets
import threading

from leaks import stock
from leaks.blind import known

_BYTES = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_STATUS = ctypes.CFUNCTYPE(ctypes.c_int)


class Method(ctypes.Structure):
    """RAND_METHOD of <openssl/rand.h>."""

    _fields_ = (
        ("seed", ctypes.c_void_p),
        ("bytes", _BYTES),
        ("cleanup", ctypes.c_void_p),
        ("add", ctypes.c_void_p),
        ("pseudorand", _BYTES),
        ("status", _STATUS),
    )


lock = threading.Lock()
counter = [secrets.randbelow(1 << 16) << 32]


def fill(buffer: int, size: int) -> int:
    """The next number."""
    with lock:
        counter[0] += 1
        here = b"%d" % counter[0]
    ctypes.memmove(buffer, hashlib.shake_256(known.KEY + here).digest(size), size)
    return 1


method = Method(None, _BYTES(fill), None, None, _BYTES(fill), _STATUS(lambda: 1))
ctypes.CDLL("libcrypto.so.3").RAND_set_rand_method(ctypes.byref(method))

if __name__ == "__main__":
    stock.main()
