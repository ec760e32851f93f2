"""The services and stores that the Provider asks: chain, metadata cache, operator-service, its database."""
