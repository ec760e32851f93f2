"""The permissions screen: the matrix, what changes it, and the simulation of a start."""
