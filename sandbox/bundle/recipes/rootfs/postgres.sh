set -eu
root="$1"
# No cluster of the package's own: the data lives on a volume, made by the image's entry point.
mkdir -p "$root/etc/postgresql-common"
echo 'create_main_cluster = false' > "$root/etc/postgresql-common/createcluster.conf"
