"""Drivers that provide the box's Kubernetes, behind one interface (:mod:`sandbox.clusters.port`)."""
