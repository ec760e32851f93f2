"""The native driver: upstream Kubernetes as plain processes of this machine, no container engine needed.

The box lives in namespaces of its own (processes, mounts, network), held by one root process, the *anchor*::

    anchor                 machine's namespaces; holds the lock, waits, sweeps up when the inside has ended
    └── init               process 1 of the box; dies with the anchor, and all below with it
        └── supervisor     starts, watches and restarts the components; answers on a unix socket
            ├── etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, coredns
            ├── containerd ── shims ── pods
            ├── kubelet
            └── forwarder  in the machine's network: 127.0.0.1:<port> → <node>:<NodePort>

Why: the kernel then keeps the promise that nothing is left. Whoever is killed, in whatever way, the rest dies
too; mounts, pod networks, bridges, routes, nft tables and the network's kernel parameters go with the
namespaces. What the kernel does not take away (control groups, the machine's end of one veth pair) is named
after the box, removed by the anchor, and looked for again by the next ``create``, ``stop`` or ``delete``.
Job pods have no way out of the machine because the node has none: it owns no default route.

Durability: etcd syncs to disk, so neither ``kill -9`` nor a power loss costs it more than unacknowledged
writes.
"""
