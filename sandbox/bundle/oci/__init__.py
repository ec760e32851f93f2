"""Container images as files: writes OCI archives and reads archives that users bring."""
