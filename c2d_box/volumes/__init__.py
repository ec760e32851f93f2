"""The job-volume provisioner: gives a claim its volume in a tenth of a second, and erases its data from
the disk afterwards.

Kubernetes has no volume with a size limit on a plain node disk. So each job gets a file system of its own in
a file whose blocks are taken at once (a full one ends that job alone), with the folders and owners that its
pods expect. Service volumes are directories.

Two rules carry the guarantees. The claim comes first and the PersistentVolume names it by UID: that is bound
at once, where anything else waits for a periodic pass of up to 30 seconds. And the claim carries a finalizer
of ours: when the claim is gone, its data has been overwritten and unlinked.
"""
