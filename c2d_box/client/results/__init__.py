"""Results of jobs and files of downloads: safe paths for them, and their decryption."""
