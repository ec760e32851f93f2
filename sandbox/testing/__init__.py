"""The box under test: a pytest plugin that comes with the wheel. See :mod:`sandbox.testing.plugin` for its
fixtures and :mod:`sandbox.testing.parties` for what they give.
"""
