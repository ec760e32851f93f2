"""DDOs: reading them, drafting them, and the rules that make one publishable."""
