"""The launch screen: a dataset, an algorithm and an environment become a job. Its check asks the Provider as
a start would, so that a refusal is met before anything is paid."""
