set -eu
root="$1"
# Names for the numbers that processes run as: initdb, ssh, getpass and others ask for them.
cat >> "$root/etc/group" <<'NAMES'
c2djob:x:10000:
c2d:x:65532:
NAMES
cat >> "$root/etc/passwd" <<'NAMES'
configuration:x:10001:10000::/tmp:/usr/sbin/nologin
warden:x:10002:10000::/tmp:/usr/sbin/nologin
algorithm:x:10003:10000::/tmp:/usr/sbin/nologin
judge:x:10004:10000::/tmp:/usr/sbin/nologin
upload:x:10005:10000::/tmp:/usr/sbin/nologin
register:x:10006:10000::/tmp:/usr/sbin/nologin
c2d:x:65532:65532::/tmp:/usr/sbin/nologin
NAMES
# What merged /usr, and the Perl it did that with, are not needed any more. PostgreSQL's wrappers want Perl, its own
# programs do not; nor do they need the compiler for queries, which is switched off.
chroot "$root" dpkg --purge --force-depends usrmerge libfile-find-rule-perl libnumber-compare-perl \
	libtext-glob-perl perl libperl5.36 perl-modules-5.36
rm -rf "$root"/usr/lib/*/libLLVM* "$root"/usr/lib/llvm-* "$root"/usr/lib/postgresql/*/lib/bitcode \
	"$root"/usr/lib/postgresql/*/lib/llvmjit*
# Byte code that is never checked against its source: the root is read-only where it runs, and half a second of every
# container's start goes into compiling otherwise.
if [ -x "$root/usr/bin/python3.11" ]; then
	chroot "$root" python3.11 -m compileall -q -f --invalidation-mode unchecked-hash \
		-x 'lib2to3/tests|/test/' /usr/lib/python3.11 /usr/lib/python3
	rm -rf "$root/usr/lib/python3.11/test"
fi
rm -rf "$root"/var/lib/apt "$root"/var/cache/apt "$root"/var/cache/debconf/* "$root"/var/cache/ldconfig/* \
	"$root"/var/log/* "$root"/var/lib/dpkg/*-old "$root"/etc/*- "$root"/tmp/* \
	"$root"/etc/hostname "$root"/etc/resolv.conf "$root"/etc/machine-id
mkdir -p "$root/opt/c2d" "$root/var/lib/c2d" "$root/etc/c2d"
