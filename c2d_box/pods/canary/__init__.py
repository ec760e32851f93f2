"""A listener that must not be reached and a dialler that tries: ``up`` and ``selftest`` learn from them what
holds.

An isolation that is believed because its rules were written down is a hope. The listener stands on the routed
network and reports who spoke to it; the dialler is a pod like a job's and reports what it got through to.
"""
