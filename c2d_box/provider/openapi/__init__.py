"""What the HTTP API is, for programs (``/spec``) and for people (``/api/docs/``).

Required parameters are taken from the validation rules and paths from the route table, so neither can say
what the Provider does not do.
"""
