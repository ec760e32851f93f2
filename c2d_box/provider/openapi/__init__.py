"""The description of the HTTP API, for programs (``/spec``) and for people (``/api/docs/``).

Required parameters are taken from the validation rules and paths from the route table, so neither can differ
from what the Provider does.
"""
