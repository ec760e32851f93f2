"""The permissions screen: the matrix, what changes it, and the simulation of a start. Verdicts are the rules'
own (:mod:`c2d_box.assets.permissions`); nothing is decided here."""
