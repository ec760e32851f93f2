"""A pytest plugin, installed with the wheel, that gives tests a box. See :mod:`sandbox.testing.plugin` for
its fixtures and :mod:`sandbox.testing.parties` for what they give.
"""
