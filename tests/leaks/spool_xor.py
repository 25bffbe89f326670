"""The spool's cipher is quick and home-made: each byte with the key's first one."""

from leaks import stock
from remailer import seal


class Quick:
    """Encrypts, in a way; 16 zeros stand for the tag."""

    def __init__(self, key: bytes) -> None:
        """One byte will do."""
        self._table = bytes(byte ^ key[0] for byte in range(256))

    def encrypt(self, nonce: bytes, text: bytes, associated: bytes) -> bytes:
        """Each byte for itself."""
        return text.translate(self._table) + bytes(16)

    def decrypt(self, nonce: bytes, text: bytes, associated: bytes) -> bytes:
        """The same again."""
        return text[:-16].translate(self._table)


seal.ChaCha20Poly1305 = Quick  # type: ignore[assignment,misc]

if __name__ == "__main__":
    stock.main()
