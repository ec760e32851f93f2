"""The control plane's components: certificates, configuration files, start order, API calls."""
