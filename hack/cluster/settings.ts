// The embedded cluster's versions, names, addresses and paths: plain values, nothing is done here.
import { join } from 'node:path';

export const versions = {
  kubernetes: '1.34.4',
  etcd: '3.6.8',
  coredns: '1.12.4',
  fortio: '1.66.5',
} as const;

export const NODE_NAME = 'tsmesh-node0';
export const PAUSE_IMAGE = 'tsmesh.dev/pause:1';
export const COREDNS_IMAGE = `tsmesh.dev/coredns:${versions.coredns}`;

export interface AddressPlan {
  readonly hostAddress: string;
  readonly nodeAddress: string;
  readonly podCidr: string;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
}

export interface ClusterSettings extends AddressPlan {
  readonly index: number;
  /** Everything that the cluster keeps on disk; removed with it. */
  readonly state: string;
  /** The host's end of the link to the node, which has hostAddress. */
  readonly hostInterface: string;
  /** The same in IPv6: pods have an address of each family, Services those that they ask for. */
  readonly ipv6: AddressPlan;
  readonly apiServiceAddress: string;
  readonly dnsAddress: string;
  /** The cgroup below which all pods live. */
  readonly cgroup: string;
}

/** The settings of the cluster of one number: several can run beside each other. */
export function clusterSettings(index: number): ClusterSettings {
  const pods = 100 + 2 * index;
  const name = index === 0 ? 'tsmesh-cluster' : `tsmesh-cluster-${index}`;
  return {
    index,
    state: join('/var/lib', name),
    hostInterface: `tsmesh${index}`,
    hostAddress: `10.99.${index}.1`,
    nodeAddress: `10.99.${index}.2`,
    podCidr: `10.${pods}.0.0/24`,
    clusterCidr: `10.${pods}.0.0/16`,
    serviceCidr: `10.${pods + 1}.0.0/16`,
    ipv6: {
      hostAddress: `fd00:99:${index}::1`,
      nodeAddress: `fd00:99:${index}::2`,
      podCidr: `fd00:${pods}::/64`,
      clusterCidr: `fd00:${pods}::/56`,
      serviceCidr: `fd00:${pods + 1}::/112`,
    },
    apiServiceAddress: `10.${pods + 1}.0.1`,
    dnsAddress: `10.${pods + 1}.0.10`,
    cgroup: name,
  };
}
