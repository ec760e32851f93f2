"""The controller of jobs: watches workflows, volumes and pods, decides with one pure function, acts
idempotently.

    watches  ──►  controller  ──►  rules (pure)  ──►  effects  ──►  Kubernetes
    pod_api  ──►      │
                      └──►  telemetry (PostgreSQL: a projection, never in the way)

Any process may be killed at any moment and the job ends the same way, because the job's progress is
written into its WorkFlow's status before anything is done that must not be done twice.
"""
