#!/bin/sh
# Runs PostgreSQL on a volume. The first start makes the database beside its final place and renames it when complete,
# so that a start killed half-way leaves nothing that looks like a database.
set -eu

: "${PGDATA:=/var/lib/c2d/postgres}"
: "${POSTGRES_USER:=c2d}"
: "${POSTGRES_DB:=c2d}"
: "${POSTGRES_PASSWORD_FILE:=/etc/c2d/secrets/postgres-password}"
bin=/usr/lib/postgresql/15/bin

# Two servers on one folder destroy it, and neither sees the other's pid from its own container: the pod before this
# one may still be ending when it was deleted by force. The lock goes when its last holder has ended.
exec 9> "$PGDATA.lock"
if ! flock --nonblock 9; then
	echo "another PostgreSQL still uses $PGDATA; waiting for its end" >&2
	flock 9
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
	if [ -e "$PGDATA" ] && [ -n "$(ls -A "$PGDATA")" ]; then
		echo "$PGDATA holds files but no database; refusing to touch them" >&2
		exit 1
	fi
	rm -rf "$PGDATA.new"
	"$bin/initdb" --pgdata="$PGDATA.new" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \
		--auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums --no-instructions
	cat >> "$PGDATA.new/pg_hba.conf" <<'RULES'
host all all all scram-sha-256
RULES
	cat >> "$PGDATA.new/postgresql.conf" <<'SETTINGS'
timezone = 'UTC'
log_timezone = 'UTC'
password_encryption = scram-sha-256
jit = off
SETTINGS
	if [ "$POSTGRES_DB" != postgres ]; then
		printf 'CREATE DATABASE "%s";\n' "$POSTGRES_DB" | "$bin/postgres" --single -D "$PGDATA.new" postgres > /dev/null
	fi
	sync
	[ ! -d "$PGDATA" ] || rmdir "$PGDATA"
	mv "$PGDATA.new" "$PGDATA"
fi

# A role for each service, neither of them a superuser: made before the server opens its port, and again at each start,
# so that a database of before gets them too. C2D_ROLES: "role:tables" each, "," between tables; a role's password is the
# file role-<role> beside the server's own.
secrets=$(dirname "$POSTGRES_PASSWORD_FILE")
roles() {
	for entry in $C2D_ROLES; do
		role=${entry%%:*} tables=${entry#*:}
		password=$(sed "s/'/''/g" "$secrets/role-$role")
		cat <<-SQL
			DO \$\$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$role') THEN CREATE ROLE "$role"; END IF; END\$\$;
			ALTER ROLE "$role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '$password';
			GRANT USAGE, CREATE ON SCHEMA public TO "$role";
		SQL
		for table in $(echo "$tables" | tr ',' ' '); do
			echo "ALTER TABLE IF EXISTS \"$table\" OWNER TO \"$role\";"
		done
	done
}
if [ -n "${C2D_ROLES:-}" ]; then
	rm -f "$PGDATA/postmaster.pid"
	roles | "$bin/postgres" --single -D "$PGDATA" "$POSTGRES_DB" > /dev/null
fi

# The socket lies in the data folder: the root is read-only, and whoever can open that folder owns the data anyway.
# A pid file of a previous life says nothing here: in a fresh container its number may be anybody's. The lock does.
rm -f "$PGDATA/postmaster.pid"
exec "$bin/postgres" -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories="$PGDATA" "$@"
