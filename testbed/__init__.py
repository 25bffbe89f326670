"""The harness: brings webs of remailers up, sends real mail through them, judges what it saw."""
