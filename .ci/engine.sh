# Has a Docker engine, mkfs.xfs, mkfs.ext4, debootstrap and a browser ready; an engine that was started here is ended at exit. Sourced.
need=()
for pair in dockerd:docker.io iptables:iptables mkfs.xfs:xfsprogs mkfs.ext4:e2fsprogs debootstrap:debootstrap; do
    command -v "${pair%%:*}" >/dev/null || need+=("${pair##*:}")
done
if docker info >/dev/null 2>&1; then
    need=("${need[@]/docker.io/}") need=("${need[@]/iptables/}")
fi
need=(${need[@]})
if ((${#need[@]})); then
    echo "== installing ${need[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
    # From Debian 13 on the client is a package of its own; before, it came with the engine.
    command -v docker >/dev/null || apt-get install -y -qq --no-install-recommends docker-cli >/dev/null
fi

# Tests of pages take a browser. Where there is none to install, they are skipped with that reason, and all others count.
command -v chromium >/dev/null || {
    echo "== installing chromium"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null \
        || echo "note: chromium could not be installed, so no page is tried in a browser"
}

engine_stop() {
    # Only the engine that was started here, and only while it is that process.
    if kill "$engine_pid" 2>/dev/null; then
        for _ in $(seq 100); do
            kill -0 "$engine_pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$engine_pid" 2>/dev/null || true
    fi
    # An engine leaves the network of its host mounted there.
    umount "$engine_home"/run/netns/* 2>/dev/null || true
    rm -rf --one-file-system "$engine_home" 2>/dev/null || true
}

if ! docker info >/dev/null 2>&1; then
    echo "== starting a Docker engine"
    # Without systemd nobody has mounted the hierarchies of control groups.
    if [ ! -e /sys/fs/cgroup/cgroup.controllers ] && ! mountpoint -q /sys/fs/cgroup/devices; then
        mountpoint -q /sys/fs/cgroup || mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
        for name in $(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
            mkdir -p "/sys/fs/cgroup/$name"
            mountpoint -q "/sys/fs/cgroup/$name" || mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name"
        done
    fi
    # Version 1 weighs all containers together like one process beside those of the tests.
    if [ -e /sys/fs/cgroup/cpu/cpu.shares ]; then
        mkdir -p /sys/fs/cgroup/cpu/docker
        echo 4096 >/sys/fs/cgroup/cpu/docker/cpu.shares
    fi
    # A directory of its own: what an engine that was killed has left in the usual one (its process id, its containerd's) would
    # be taken for a living one.
    engine_home=$(mktemp -d)
    engine_log=$engine_home/log
    dockerd --pidfile "$engine_home/pid" --exec-root "$engine_home/run" >"$engine_log" 2>&1 </dev/null &
    engine_pid=$!
    trap engine_stop EXIT
    for _ in $(seq 120); do
        docker info >/dev/null 2>&1 && break
        kill -0 "$engine_pid" 2>/dev/null || { echo "error: the engine did not start:"; tail -20 "$engine_log"; exit 7; }
        sleep 0.5
    done
    docker info >/dev/null || { echo "error: the engine does not answer:"; tail -20 "$engine_log"; exit 7; }
fi
