"""The one-command loop: a local script, somebody's data, one command; after an edit the same command again.

:mod:`sandbox.loop.running` is the verb ``run``, :mod:`sandbox.loop.creating` the verb ``new algorithm`` and
:mod:`sandbox.loop.trying` the dry run of both: the local script, without a box.
"""
