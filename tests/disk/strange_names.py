"""File names that tools get wrong."""

from __future__ import annotations

import os

STRANGE_NAMES = [
    "plain",
    "with space",
    "-leading-dash",
    "--help",
    "new\nline",
    "comma,driver=raw",
    "colon:nbd",
    "json:{}",
    "nbd:localhost:10809",
    "quote\"'back\\slash",
    "percent%20%s",
    "äöü 磁盘 🖴",
    "$(touch owned)`",
    os.fsdecode(b"not-utf8-\xff\xfe"),
]
