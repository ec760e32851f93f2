set -eu
root="$1"
# A node has no seats, disks or consoles to look after: whatever the packages enabled, only our units stay.
rm -f "$root"/etc/systemd/system/*.wants/* "$root"/lib/systemd/system/multi-user.target.wants/* \
	"$root"/lib/systemd/system/local-fs.target.wants/* "$root"/lib/systemd/system/basic.target.wants/* \
	"$root"/lib/systemd/system/sockets.target.wants/*udev* \
	"$root"/lib/systemd/system/sockets.target.wants/*initctl* \
	"$root"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/etc/kubernetes/manifests" "$root/kind"
# It would register formats with the kernel of the machine.
ln -sf /dev/null "$root/etc/systemd/system/systemd-binfmt.service"
echo "ReadKMsg=no" >> "$root/etc/systemd/journald.conf"
ln -sf /lib/systemd/systemd "$root/sbin/init"
