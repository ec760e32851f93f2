"""What ``up`` does to make a cluster into a box: chart, readiness, isolation, canary, first assets."""
