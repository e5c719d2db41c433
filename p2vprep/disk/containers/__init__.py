"""Readers of disk container headers: pure functions over a small read callback.

Each reader answers for bytes that carry its format's signature. It returns a
:class:`~p2vprep.disk.containers.base.Container` or raises one typed error; it never
reads another file, and never more than a bounded part of this one.
"""
