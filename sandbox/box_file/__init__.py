"""The box file, ``c2d-box.yaml``: what a user declares of a box, in one file with comments.

schema            the keys, their types and defaults
reading           text → file, or lines and reasons
settings_mapping  file ↔ the settings of a box
changes           what an ``up`` changes, and what that restarts
rendering         file → text with comments
editing           one value of a text is replaced, and nothing else

The file is complete: what it leaves out has its default, so that taking a line out undoes it, and a file in
a repository means the same in every box. It is checked whole before anything changes (ADR 0045).
"""
