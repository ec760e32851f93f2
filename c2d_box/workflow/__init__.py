"""The WorkFlow resource, job states and the job table: the one vocabulary of operator-service, engine and
pods.

These names are an interface twice over: Ocean's clients depend on the numbers and texts, and the pods of a
running job on the paths, users and labels of the engine that made them.
"""
