"""File objects: the sources of a service's bytes. Each type is one module and one line of the registry."""

from c2d_box.assets.files.arweave import ArweaveFile
from c2d_box.assets.files.file_object import FileObject, FileObjectError, SourceRequest
from c2d_box.assets.files.graphql import GraphqlFile
from c2d_box.assets.files.ipfs import IpfsFile
from c2d_box.assets.files.registry import FILE_TYPES, parse_file
from c2d_box.assets.files.result import ResultFile
from c2d_box.assets.files.s3 import S3File
from c2d_box.assets.files.sealed_document import files_document, seal_files, unseal_files
from c2d_box.assets.files.smartcontract import SmartContractFile
from c2d_box.assets.files.url import UrlFile

__all__ = [
    "FILE_TYPES",
    "ArweaveFile",
    "FileObject",
    "FileObjectError",
    "GraphqlFile",
    "IpfsFile",
    "ResultFile",
    "S3File",
    "SmartContractFile",
    "SourceRequest",
    "UrlFile",
    "files_document",
    "parse_file",
    "seal_files",
    "unseal_files",
]
