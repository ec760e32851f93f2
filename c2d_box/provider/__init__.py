"""The Provider: the only party that can read a publisher's file list, and so the gate in front of the data.

``routes`` translate HTTP; the rules stand beside them, one module per concept. Wire contract: the
Provider API of the Ocean v4 generation (Python Provider 2.1), with the deviations listed in docs/.
"""
