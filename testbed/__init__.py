"""The harness: brings webs of remailers up, drives real mail through them and judges what it saw."""
