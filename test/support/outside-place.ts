// A place outside the cluster for tests: a server of this process on the host's end of the link to the node, which
// pods reach as they reach anything on the internet.
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { clusterSettings } from '../../hack/cluster/settings.ts';
import { clusterIndex } from '../../hack/lib/paths.ts';

export interface OutsidePlace {
  address: string;
  port: number;
  close(): void;
}

export async function outsidePlace(server: Server): Promise<OutsidePlace> {
  const { hostAddress: address } = clusterSettings(clusterIndex());
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { address, port, close: () => void server.close() };
}
