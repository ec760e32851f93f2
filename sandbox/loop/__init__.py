"""The one-command loop: a script on the desk, data of somebody, one command; after an edit the same again.

:mod:`sandbox.loop.running` is the verb ``run``, :mod:`sandbox.loop.creating` the verb ``new algorithm`` and
:mod:`sandbox.loop.trying` the dry run of both: the script on this desk, without a box.
"""
