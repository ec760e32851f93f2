"""The attack battery: algorithms that try to get data out or to break the node, as real jobs on the live box.

Each attack is data (``attack.Attack``, listed in ``catalogue``): what it tries, the program, how the job must
end, and how it is checked that nothing came of it without asking the attacker. ``battery`` runs them.
"""
