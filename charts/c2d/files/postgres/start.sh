#!/bin/sh
# Make the database cluster once (in a scratch folder that is renamed when whole), then run the server.
set -eu
umask 077
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
data=/var/lib/c2d/pgdata
password=/etc/c2d/secrets/postgres-password

if [ ! -f "$data/PG_VERSION" ]; then
    rm -rf "$data.new"
    "$bin/initdb" --pgdata="$data.new" --username="$C2D_USER" --pwfile="$password" \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-instructions
    echo "host all all all scram-sha-256" >> "$data.new/pg_hba.conf"
    if [ "$C2D_DATABASE" != postgres ]; then
        echo "CREATE DATABASE \"$C2D_DATABASE\"" | "$bin/postgres" --single -D "$data.new" postgres > /dev/null
    fi
    mv "$data.new" "$data"
fi
exec "$bin/postgres" -D "$data" -c listen_addresses=0.0.0.0 -c port=5432 -c unix_socket_directories=/tmp \
    -c shared_buffers=32MB -c max_connections=60 -c wal_level=minimal -c max_wal_senders=0 \
    -c max_wal_size=256MB -c autovacuum_naptime=300
