#!/bin/bash
# The first process of a node's namespaces: prepares them and runs etcd, the control plane, containerd, the kubelet and kube-proxy, each
# begun anew should it end. Orphans are its children. Usage: inner.sh STATE CGROUP, STATE holding what node.ts writes there.
set -u
state=$1 cgroup=$2

# Whatever is needed lies below /mnt: the places that are empty from now on may be above the folders that were given.
mount --make-rshared /
mount --bind "$(readlink -f "$state/links/program")" "$state/program"
mount --bind "$(readlink -f "$state/links/packages")" "$state/packages"
mount --rbind "$state" /mnt
# Where containerd, CNI and the kubelet write whatever they are told. The machine's own are neither seen nor touched.
for folder in /run /var/lib /var/log; do mount -t tmpfs none $folder; done
mkdir -p /run/netns /run/containerd /var/lib/cni /var/lib/kubelet /var/lib/containerd /var/log/pods /var/log/containers
mount --bind /mnt/containerd /var/lib/containerd
mount --bind /mnt/kubelet /var/lib/kubelet
mount --bind /mnt/log/pods /var/log/pods
# A pull of an image that is not there fails at once, not after a resolver that cannot be reached.
mount --bind /mnt/config/resolv.conf /etc/resolv.conf
export PATH=/mnt/packages/links:$PATH
export LD_LIBRARY_PATH=/mnt/packages/usr/lib/x86_64-linux-gnu:/mnt/packages/lib/x86_64-linux-gnu
export XTABLES_LIBDIR=/mnt/packages/usr/lib/x86_64-linux-gnu/xtables

# The kubelet would write settings of the whole machine. It finds these files instead.
mkdir -p /run/sysctl
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 \
  kernel/keys/root_maxbytes=25000000; do
  file=/run/sysctl/$(basename "${setting%=*}")
  echo "${setting#*=}" >"$file"
  [ ! -e "/proc/sys/${setting%=*}" ] || mount --bind "$file" "/proc/sys/${setting%=*}"
done

# Pods' cgroups lie below one name: it says whose they are.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p "/sys/fs/cgroup/$cgroup"
else
  for hierarchy in /sys/fs/cgroup/*/; do mkdir -p "$hierarchy$cgroup"; done
  for file in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$cgroup/$file"; done
fi

ip link set lo up
ip link add node0 type bridge && ip addr add 10.99.0.1/24 dev node0 && ip link set node0 up
# A bridge with nothing on it is down.
ip link add up0 type veth peer name up1 && ip link set up1 master node0 && ip link set up0 up && ip link set up1 up
# It leads nowhere; several programs ask for one.
ip route add default dev node0
# Addresses of documentation: whoever listens on one of them in this network is "the internet" to the Pods.
ip route add local 192.0.2.0/24 dev lo
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet

keep() {
  local name=$1
  shift
  while :; do
    "$@" >>"/mnt/log/$name.log" 2>&1
    echo "one-node: $name ended with $?" >>"/mnt/log/$name.log"
    sleep 1
  done &
}

keep etcd /mnt/program etcd --data-dir=/mnt/etcd --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
  --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
  --initial-cluster=default=http://127.0.0.1:2380 --unsafe-no-fsync --log-level=warn
keep kube-apiserver /mnt/program kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --advertise-address=10.99.0.1 \
  --secure-port=6443 --service-cluster-ip-range=10.96.0.0/24 --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
  --anonymous-auth=true --client-ca-file=/mnt/ca.crt --token-auth-file=/mnt/tokens.csv \
  --tls-cert-file=/mnt/apiserver.crt --tls-private-key-file=/mnt/apiserver.key \
  --kubelet-client-certificate=/mnt/kubelet-client.crt --kubelet-client-key=/mnt/kubelet-client.key \
  --kubelet-preferred-address-types=InternalIP --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file=/mnt/sa.pub --service-account-signing-key-file=/mnt/sa.key --allow-privileged=true --profiling=false \
  --audit-policy-file=/mnt/config/audit.yaml --audit-log-path=/mnt/log/audit.log
keep containerd containerd --config=/mnt/config/containerd.toml

# Who waits for the API server says that it is ready: what asks a server that is not there yet asks again only later and later.
until [ -e /mnt/api-ready ]; do sleep 0.05; done
keep kube-controller-manager /mnt/program kube-controller-manager --kubeconfig=/mnt/controller-manager.kubeconfig --leader-elect=false \
  --secure-port=0 --use-service-account-credentials=true --service-account-private-key-file=/mnt/sa.key --root-ca-file=/mnt/ca.crt \
  --profiling=false --controllers="$(paste -sd , /mnt/config/controllers)"
keep kube-scheduler /mnt/program kube-scheduler --kubeconfig=/mnt/scheduler.kubeconfig --leader-elect=false --secure-port=0 --profiling=false
keep kubelet /mnt/program kubelet --config=/mnt/config/kubelet.yaml --kubeconfig=/mnt/kubelet.kubeconfig --hostname-override=node1 \
  --node-ip=10.99.0.1 --cert-dir=/var/lib/kubelet/pki
keep kube-proxy /mnt/program kube-proxy --config=/mnt/config/kube-proxy.yaml
wait
