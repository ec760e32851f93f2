"""The screens' port to a box, and the adapter that calls the verbs."""
