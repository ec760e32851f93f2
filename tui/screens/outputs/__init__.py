"""The outputs screen: results of jobs, with a preview. Results come from code that nobody trusts, so all
decoding here is bounded."""
