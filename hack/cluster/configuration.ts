// The configuration files and command lines of the embedded cluster's programs: pure text from the
// settings. What is unusual here is because the node lives in namespaces without systemd.
import type { Binaries } from './binaries.ts';
import { NODE_NAME, PAUSE_IMAGE, type AddressPlan, type ClusterSettings } from './settings.ts';

export interface Daemon {
  readonly name: string;
  readonly command: readonly string[];
}

/** Files below the state folder, by relative path. */
export function configurationFiles(settings: ClusterSettings): Readonly<Record<string, string>> {
  return {
    'etc/containerd.toml': containerdConfig(settings),
    'etc/cni/10-bridge.conflist': cniConfig(settings),
    'etc/kubelet.json': kubeletConfig(settings),
    'etc/resolv.conf': 'options ndots:1\n',
  };
}

/** All programs, in the order of their start. */
export function daemons(settings: ClusterSettings, binaries: Binaries): readonly Daemon[] {
  return [
    {
      name: 'containerd',
      command: ['containerd', '--config', `${settings.state}/etc/containerd.toml`],
    },
    { name: 'etcd', command: etcd(settings, binaries) },
    { name: 'kube-apiserver', command: apiserver(settings, binaries) },
    { name: 'kube-controller-manager', command: controllerManager(settings, binaries) },
    { name: 'kube-scheduler', command: scheduler(settings, binaries) },
    { name: 'kubelet', command: kubelet(settings, binaries) },
    { name: 'kube-proxy', command: kubeProxy(settings, binaries) },
  ];
}

/**
 * restrict_oom_score_adj: without CAP_SYS_RESOURCE every pod would fail otherwise.
 * SystemdCgroup is off by default, as there is no systemd.
 */
function containerdConfig(settings: ClusterSettings): string {
  return `version = 2
root = "${settings.state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
oom_score = 0
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${settings.state}/etc/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
`;
}

function cniConfig(settings: ClusterSettings): string {
  return JSON.stringify({
    cniVersion: '0.4.0',
    name: 'tsmesh',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: settings.podCidr }], [{ subnet: settings.ipv6.podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
          dataDir: `${settings.state}/cni`,
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  });
}

/** Secrets are watched and synced often: tests of renewed certificates stay short, and real. */
function kubeletConfig(settings: ClusterSettings): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${settings.state}/pki/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${settings.cgroup}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: [],
    clusterDNS: [settings.dnsAddress],
    clusterDomain: 'cluster.local',
    resolvConf: `${settings.state}/etc/resolv.conf`,
    failSwapOn: false,
    failCgroupV1: false,
    maxPods: 200,
    oomScoreAdj: 0,
    localStorageCapacityIsolation: false,
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    syncFrequency: '10s',
    configMapAndSecretChangeDetectionStrategy: 'Watch',
    nodeStatusUpdateFrequency: '4s',
    serializeImagePulls: false,
    eventRecordQPS: 0,
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
    podLogsDir: '/var/log/pods',
    volumePluginDir: `${settings.state}/volume-plugins`,
    logging: { format: 'text' },
  });
}

function etcd(settings: ClusterSettings, binaries: Binaries): string[] {
  return [
    `${binaries.etcd}/etcd`,
    `--data-dir=${settings.state}/etcd`,
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    '--initial-advertise-peer-urls=http://127.0.0.1:2380',
    '--initial-cluster=default=http://127.0.0.1:2380',
    // The cluster is thrown away: what a power failure would lose is not missed.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

function apiserver(settings: ClusterSettings, binaries: Binaries): string[] {
  const pki = `${settings.state}/pki`;
  return [
    `${binaries.kubernetes}/kube-apiserver`,
    '--etcd-servers=http://127.0.0.1:2379',
    `--advertise-address=${settings.nodeAddress}`,
    '--secure-port=6443',
    `--service-cluster-ip-range=${both(settings, 'serviceCidr')}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--client-ca-file=${pki}/ca.crt`,
    `--tls-cert-file=${pki}/apiserver.crt`,
    `--tls-private-key-file=${pki}/apiserver.key`,
    `--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt`,
    `--kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
    // Nobody resolves the node's name, so exec and logs must use its address.
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${pki}/service-account.key`,
    `--service-account-signing-key-file=${pki}/service-account.key`,
  ];
}

function controllerManager(settings: ClusterSettings, binaries: Binaries): string[] {
  const pki = `${settings.state}/pki`;
  return [
    `${binaries.kubernetes}/kube-controller-manager`,
    `--kubeconfig=${pki}/controller-manager.kubeconfig`,
    '--leader-elect=false',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${pki}/service-account.key`,
    `--root-ca-file=${pki}/ca.crt`,
    `--cluster-signing-cert-file=${pki}/ca.crt`,
    `--cluster-signing-key-file=${pki}/ca.key`,
    `--flex-volume-plugin-dir=${settings.state}/volume-plugins`,
    // The default of 20 requests per second would cost every start of the cluster some seconds.
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--allocate-node-cidrs=true',
    `--cluster-cidr=${both(settings, 'clusterCidr')}`,
    `--service-cluster-ip-range=${both(settings, 'serviceCidr')}`,
  ];
}

function scheduler(settings: ClusterSettings, binaries: Binaries): string[] {
  return [
    `${binaries.kubernetes}/kube-scheduler`,
    `--kubeconfig=${settings.state}/pki/scheduler.kubeconfig`,
    '--leader-elect=false',
  ];
}

function kubelet(settings: ClusterSettings, binaries: Binaries): string[] {
  return [
    `${binaries.kubernetes}/kubelet`,
    `--config=${settings.state}/etc/kubelet.json`,
    `--kubeconfig=${settings.state}/pki/kubelet.kubeconfig`,
    `--root-dir=${settings.state}/kubelet`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${both(settings, 'nodeAddress')}`,
  ];
}

function kubeProxy(settings: ClusterSettings, binaries: Binaries): string[] {
  return [
    `${binaries.kubernetes}/kube-proxy`,
    `--kubeconfig=${settings.state}/pki/kube-proxy.kubeconfig`,
    `--hostname-override=${NODE_NAME}`,
    '--proxy-mode=iptables',
    `--cluster-cidr=${both(settings, 'clusterCidr')}`,
    '--iptables-min-sync-period=250ms',
    '--oom-score-adj=0',
    // These limits belong to the whole machine and cannot be set from inside.
    '--conntrack-max-per-core=0',
    '--conntrack-tcp-timeout-established=0',
    '--conntrack-tcp-timeout-close-wait=0',
  ];
}

/** Of both families, IPv4 first: it is the one of Services that do not ask. */
function both(settings: ClusterSettings, name: keyof AddressPlan): string {
  return `${settings[name]},${settings.ipv6[name]}`;
}
