// The parts of a node as commands and configuration files: plain values in, text and arguments out; starts nothing.
import { join } from "node:path";

export const SERVICE_RANGE = "10.96.0.0/16";
export const SERVICE_ADDRESS = "10.96.0.1";
export const NODE = "node-1";
export const BRIDGE = "mr0";
/** Private to the node's mount namespace, where /run is empty. */
export const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";
export const PAUSE_IMAGE = "millrace.dev/pause:1";

/** The files that the components read, as `[name, text]`. `node` has folder, address (the node's), subnet and plugins. */
export function configurationFiles(node) {
  const { folder } = node;
  const pki = (name) => join(folder, "pki", name);
  const cni = {
    cniVersion: "0.4.0",
    name: "millrace",
    plugins: [
      {
        type: "bridge",
        bridge: BRIDGE,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          dataDir: join(folder, "cni-data"),
          // The first addresses are the host's, the node's and reserves.
          ranges: [[{ subnet: node.subnet, rangeStart: node.firstPod, gateway: node.address }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  };
  // restrict_oom_score_adj: inside a container or a small virtual machine nobody may lower a score, and every pod would fail.
  const containerd = `version = 2
root = "${join(folder, "containerd")}"
state = "/run/containerd"
[grpc]
 address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
 sandbox_image = "${PAUSE_IMAGE}"
 restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
 bin_dir = "${node.plugins}"
 conf_dir = "${join(folder, "cni")}"
`;
  const kubelet = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki("ca.crt") } },
    authorization: { mode: "Webhook" },
    cgroupDriver: "cgroupfs",
    // Below a group of its own, so that what a killed node leaves can be found and deleted.
    cgroupRoot: `/${node.cgroup}`,
    failSwapOn: false,
    failCgroupV1: false,
    tlsCertFile: pki("kubelet.crt"),
    tlsPrivateKeyFile: pki("kubelet.key"),
    clusterDNS: [node.address],
    clusterDomain: "cluster.local",
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    podLogsDir: join(folder, "pod-logs"),
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%" },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    maxPods: 200,
    serializeImagePulls: false,
    resolvConf: "",
  };
  const proxy = {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: pki("admin.kubeconfig") },
    clusterCIDR: node.subnet,
    mode: "iptables",
    // Pods share one bridge: without this an answer would go past the node, which would not translate it back.
    iptables: { masqueradeAll: true },
    hostnameOverride: NODE,
    conntrack: { maxPerCore: 0, min: 0 },
    bindAddress: "127.0.0.1",
  };
  const dns = `.:53 {
 bind ${node.address}
 errors
 kubernetes cluster.local in-addr.arpa {
  kubeconfig ${pki("admin.kubeconfig")}
  pods insecure
 }
 cache 5
}
`;
  return [
    ["cni/10-millrace.conflist", JSON.stringify(cni)],
    ["containerd.toml", containerd],
    ["kubelet.json", JSON.stringify(kubelet)],
    ["kube-proxy.json", JSON.stringify(proxy)],
    ["Corefile", dns],
  ];
}

/** The components in the order of their start: `{ name, command, args }`. */
export function components(node) {
  const { folder, address } = node;
  const pki = (name) => join(folder, "pki", name);
  const kubernetes = (name) => join(node.kubernetes, name);
  const local = "http://127.0.0.1";
  return [
    {
      name: "etcd",
      command: "etcd",
      args: [
        ...["--data-dir", join(folder, "etcd"), "--unsafe-no-fsync"],
        ...["--listen-client-urls", `${local}:2379`, "--advertise-client-urls", `${local}:2379`],
        ...["--listen-peer-urls", `${local}:2380`, "--initial-advertise-peer-urls", `${local}:2380`],
        ...["--initial-cluster", `default=${local}:2380`],
      ],
    },
    {
      name: "apiserver",
      command: kubernetes("kube-apiserver"),
      args: [
        ...[`--etcd-servers=${local}:2379`, `--service-cluster-ip-range=${SERVICE_RANGE}`, "--bind-address=0.0.0.0"],
        ...[`--advertise-address=${address}`, "--authorization-mode=Node,RBAC", "--allow-privileged=true"],
        ...[
          `--tls-cert-file=${pki("apiserver.crt")}`,
          `--tls-private-key-file=${pki("apiserver.key")}`,
          `--client-ca-file=${pki("ca.crt")}`,
        ],
        ...[`--service-account-key-file=${pki("sa.pub")}`, `--service-account-signing-key-file=${pki("sa.key")}`],
        "--service-account-issuer=https://kubernetes.default.svc",
        ...["--kubelet-preferred-address-types=InternalIP", `--kubelet-client-certificate=${pki("admin.crt")}`],
        `--kubelet-client-key=${pki("admin.key")}`,
      ],
    },
    {
      name: "controller-manager",
      command: kubernetes("kube-controller-manager"),
      args: [
        ...[`--kubeconfig=${pki("admin.kubeconfig")}`, `--service-account-private-key-file=${pki("sa.key")}`],
        ...[`--root-ca-file=${pki("ca.crt")}`, "--use-service-account-credentials=true", "--allocate-node-cidrs=false"],
        ...[`--cluster-signing-cert-file=${pki("ca.crt")}`, `--cluster-signing-key-file=${pki("ca.key")}`, "--leader-elect=false"],
      ],
    },
    { name: "scheduler", command: kubernetes("kube-scheduler"), args: [`--kubeconfig=${pki("admin.kubeconfig")}`, "--leader-elect=false"] },
    { name: "containerd", command: "containerd", args: ["-c", join(folder, "containerd.toml")] },
    {
      name: "kubelet",
      command: kubernetes("kubelet"),
      args: [
        ...[`--config=${join(folder, "kubelet.json")}`, `--kubeconfig=${pki("kubelet.kubeconfig")}`, `--hostname-override=${NODE}`],
        ...[`--node-ip=${address}`, `--root-dir=${join(folder, "kubelet")}`],
      ],
    },
    { name: "kube-proxy", command: kubernetes("kube-proxy"), args: ["--config", join(folder, "kube-proxy.json")] },
    { name: "coredns", command: node.coredns, args: ["-conf", join(folder, "Corefile")] },
  ];
}
