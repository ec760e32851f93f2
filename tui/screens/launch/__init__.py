"""The launch screen: a dataset, an algorithm and an environment become a job."""
