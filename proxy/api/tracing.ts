// What a sidecar is told of tracing. Types only.

export interface TracingSettings {
  collector: CollectorSettings;
  /** Percent of the traces that begin here. */
  sampling: number;
  /** The same of requests that arrive at these ports of the pod, by decimal number. */
  samplingOfPorts: Record<string, number>;
  /** What is the same for all spans of the pod: `service.name`, `k8s.pod.name`, … */
  resource: Record<string, string>;
}

export interface CollectorSettings {
  /** OTLP over gRPC, or over HTTP with protobuf. */
  protocol: 'grpc' | 'http';
  /** `http://host:port`, with a path for OTLP over HTTP; `https:` is checked against the public authorities. */
  endpoint: string;
  /** A Service of the cluster, which is called as any other of the mesh: `10.1.0.7:4317`. Absent: the host is looked up by DNS. */
  destination?: { address: string; port: number };
}
