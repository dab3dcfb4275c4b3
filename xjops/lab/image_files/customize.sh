#!/bin/sh
# Runs at the end of mmdebstrap: $1 is the new root, $2 the folder of this script.
set -eu
root=$1
here=$2

# The account that engineers and Ansible log in as: key only, sudo without a password.
chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 --comment "xjops operator" xjops
printf 'xjops ALL=(ALL) NOPASSWD:ALL\n' >"$root/etc/sudoers.d/xjops"
chmod 0440 "$root/etc/sudoers.d/xjops"

# What must differ from host to host comes at the first start, as a VM's guest customization does it.
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname"
: >"$root/etc/machine-id"
install -m 0755 "$here/xjops-guest" "$root/usr/local/sbin/xjops-guest"
install -m 0644 "$here/xjops-guest.service" "$here/xjops-mounts.service" "$root/etc/systemd/system/"
mkdir -p "$root/var/lib/xjops-guest" "$root/etc/systemd/journald.conf.d" "$root/etc/ssh/sshd_config.d"
chroot "$root" systemctl --quiet enable xjops-guest.service xjops-mounts.service

# No way out, so nothing to ask: no package source, no name server.
rm -rf "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/*
: >"$root/etc/resolv.conf"
chmod 0644 "$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"

printf '[Journal]\nSystemMaxUse=32M\nRuntimeMaxUse=16M\nAudit=no\n' >"$root/etc/systemd/journald.conf.d/10-lab.conf"
printf 'PasswordAuthentication no\nUseDNS no\n' >"$root/etc/ssh/sshd_config.d/10-lab.conf"

# What a container has no hardware or right for would leave systemd degraded, or only costs time.
chroot "$root" systemctl --quiet mask \
  getty.target console-getty.service getty-static.service systemd-logind.service \
  systemd-journald-audit.socket systemd-modules-load.service systemd-pstore.service \
  systemd-remount-fs.service systemd-sysctl.service systemd-update-utmp.service \
  sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
  sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer apt-daily.timer apt-daily-upgrade.timer
