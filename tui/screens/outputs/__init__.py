"""The outputs screen: results of jobs, with a preview."""
