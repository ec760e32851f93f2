"""The rules of computing: they decide which algorithm may run on which data for whom, price it, and start the
job. The routes are in :mod:`c2d_box.provider.routes`."""
