"""Every route of the Provider, with its handler, its description and the name clients look it up by."""

from __future__ import annotations

from c2d_box.provider.openapi import operations as about
from c2d_box.provider.routes import access, account, compute, discovery, encryption, fileinfo, grant, logs
from c2d_box.provider.routing import Endpoint

# The prefix is the one that discovery announces, so the two cannot differ.
_P = discovery.PREFIX

ENDPOINTS = (
    Endpoint("GET", "/", discovery.root, about.ROOT),
    Endpoint("GET", "/livez", discovery.livez, about.LIVE),
    Endpoint("GET", "/readyz", discovery.readyz, about.READY),
    Endpoint("GET", "/healthz", discovery.healthz, about.HEALTH),
    Endpoint("GET", "/spec", discovery.spec, about.SPEC),
    Endpoint("GET", "/api/docs/", discovery.page, about.PAGE),
    Endpoint("GET", f"{_P}/nonce", account.last_nonce, about.NONCE, "nonce"),
    Endpoint("POST", f"{_P}/encrypt", encryption.encrypt_document, about.ENCRYPT, "encrypt"),
    Endpoint("POST", f"{_P}/decrypt", encryption.decrypt_document, about.DECRYPT, "decrypt"),
    Endpoint("POST", f"{_P}/fileinfo", fileinfo.file_info, about.FILE_INFO, "fileinfo"),
    Endpoint("GET", f"{_P}/initialize", access.initialize, about.INITIALIZE, "initialize"),
    Endpoint(
        "POST",
        f"{_P}/initializeCompute",
        compute.initialize_compute,
        about.INITIALIZE_COMPUTE,
        "initializeCompute",
    ),
    Endpoint("GET", f"{_P}/download", access.download_file, about.DOWNLOAD, "download"),
    Endpoint("POST", f"{_P}/compute", compute.start_compute, about.START, "computeStart"),
    Endpoint("GET", f"{_P}/compute", compute.compute_status, about.STATUS, "computeStatus"),
    Endpoint("PUT", f"{_P}/compute", compute.stop_compute, about.STOP, "computeStop"),
    Endpoint("DELETE", f"{_P}/compute", compute.delete_compute, about.DELETE, "computeDelete"),
    Endpoint("GET", f"{_P}/computeResult", compute.compute_result, about.RESULT, "computeResult"),
    Endpoint(
        "GET",
        f"{_P}/computeEnvironments",
        compute.compute_environments,
        about.ENVIRONMENTS,
        "computeEnvironments",
    ),
    Endpoint(
        "POST",
        f"{_P}/validateContainer",
        compute.validate_container,
        about.VALIDATE_CONTAINER,
        "validateContainer",
    ),
    # Names in snake case, unlike the others, because clients look these two up so.
    Endpoint("GET", f"{_P}/createAuthToken", account.create_token, about.CREATE_TOKEN, "create_auth_token"),
    Endpoint(
        "DELETE", f"{_P}/deleteAuthToken", account.delete_token, about.DELETE_TOKEN, "delete_auth_token"
    ),
    # No names for these two: clients of the original count the entries of service discovery.
    Endpoint("GET", f"{_P}/computeLogs", logs.follow, about.LOGS),
    Endpoint("GET", "/api/c2d/grant", grant.grant, about.GRANT),
)
