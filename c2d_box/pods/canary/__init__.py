"""Something that must not be reached, and something that tries: how ``up`` and ``selftest`` learn what holds.

An isolation that is believed because its rules were written down is a hope. The listener stands on the
routed network and says who spoke to it; the dialler is a pod like a job's and says what it got through to.
"""
