"""The outputs gate: decides what of the algorithm's output may leave, and holds nothing worth stealing.

It is the only program that parses what the algorithm wrote. It fails closed: one output that may not
leave, and none does; what cannot be understood may not leave.
"""
