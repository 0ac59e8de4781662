/*
 * What each setting means, for docs/reference/configuration.md; the schemas of src/config know everything else about them.
 */

/** By dotted path in the controller's file. */
export const CONTROLLER_MEANINGS: Readonly<Record<string, string>> = {
  logLevel: 'Lowest level of log lines.',
  'http.host': 'Address of `/healthz`, `/readyz` and `/metrics`.',
  'http.port': 'Their port; 0: any free one.',
  'kubernetes.kubeconfig': "Path of a kubeconfig; absent: `$KUBECONFIG`, else the pod's own account.",
  'kubernetes.qps': 'Requests per second to the API server.',
  'kubernetes.burst': 'Requests that may come at once before `qps` counts.',
  'leaderElection.enabled': 'Off: this replica always writes; for a single one only.',
  'leaderElection.name': 'Name of the Lease.',
  namespace: 'Namespace of the controller: its Lease and its Secret.',
  identity: "Name of this replica; the pod's name.",
  workers: 'Workloads that are compiled and published at the same time.',
  resync: 'Time between two looks at everything, which should find nothing to do.',
  'touch.batchSize': 'Pods whose annotation is patched at the same time after a change.',
  'jwks.refresh': 'Longest time between two fetches of a key set; Cache-Control may shorten it.',
  'jwks.blockedCidrs': 'Address ranges never dialled for keys, besides link-local and metadata addresses; comma-separated in a flag.',
  'jwks.caFile': 'PEM file of further certificate authorities for https.',
  'webhook.enabled': 'Serves injection and validation.',
  'webhook.host': 'Address of the webhook.',
  'webhook.port': 'Port of the webhook.',
  'webhook.service': 'Name of the Service that the API server calls.',
  'webhook.agentImage': 'Image of injected agents; needed when the webhook is enabled. `sallyport inject` uses it too.',
  'webhook.agentImagePullPolicy': 'Of injected agents.',
  'webhook.agentLogLevel': 'Of injected agents; absent: `info`.',
  'webhook.agentResources.requests': 'Of injected agents, as in a container; absent: 20m CPU, 64Mi memory.',
  'webhook.agentResources.limits': 'Of injected agents, as in a container; absent: 256Mi memory.',
  'webhook.tlsMinVersion': 'Lowest version of TLS that the webhook speaks.',
};

const PROVIDER = 'mesh.extensionProviders[]';
const COMMON: Readonly<Record<string, string>> = {
  service: 'Host of the authorizer, `namespace/host` as in Istio or a plain name.',
  port: 'Its port.',
  timeout: 'Deadline of one check.',
  failOpen: 'Lets requests pass while the authorizer cannot be reached.',
  statusOnError: 'Status when the authorizer cannot be reached.',
  'includeRequestBodyInCheck.maxRequestBytes': 'Most bytes of the body that are sent along; absent section: none.',
  'includeRequestBodyInCheck.allowPartialMessage': 'Sends the first bytes of a longer body instead of answering 413.',
  'includeRequestBodyInCheck.packAsBytes': 'Body as bytes instead of text.',
  clearRouteCache: 'Accepted and without effect: an agent has one upstream.',
};

/** By dotted path in the controller's file. */
export const MESH_MEANINGS: Readonly<Record<string, string>> = {
  'mesh.rootNamespace': 'Policies of this namespace apply to all namespaces.',
  'mesh.trustDomain': 'Trust domain of the workloads.',
  'mesh.trustDomainAliases': 'Further trust domains that principals may name.',
  'mesh.pathNormalization.normalization': 'What is done to a path before it is judged and forwarded; `DEFAULT` is `BASE`.',
  'mesh.trustedProxies':
    'Addresses and CIDR blocks of proxies in front that terminate mTLS: their `X-Forwarded-Client-Cert` says who the client is; from everybody else it is removed.',
  'mesh.multipleCustomProviders': 'Lets CUSTOM policies of one workload name several providers.',
  [`${PROVIDER}.name`]: 'Name by which `provider.name` of a CUSTOM policy finds it.',
  ...Object.fromEntries(
    ['envoyExtAuthzHttp', 'envoyExtAuthzGrpc'].flatMap((kind) =>
      Object.entries(COMMON).map(([key, text]) => [`${PROVIDER}.${kind}.${key}`, text]),
    ),
  ),
  [`${PROVIDER}.envoyExtAuthzHttp.pathPrefix`]: 'Put before the path of the check.',
  [`${PROVIDER}.envoyExtAuthzHttp.includeRequestHeadersInCheck`]: 'Headers of the request that the check carries.',
  [`${PROVIDER}.envoyExtAuthzHttp.includeAdditionalHeadersInCheck`]: 'Further headers of the check, with their values.',
  [`${PROVIDER}.envoyExtAuthzHttp.headersToUpstreamOnAllow`]: 'Headers of the answer that the application gets.',
  [`${PROVIDER}.envoyExtAuthzHttp.headersToDownstreamOnAllow`]: 'Headers of the answer that the client gets with the response.',
  [`${PROVIDER}.envoyExtAuthzHttp.headersToDownstreamOnDeny`]: 'Headers of the answer that the client gets with the denial.',
};

interface AgentMeaning {
  readonly value: string;
  readonly fallback: string;
  readonly meaning: string;
}

/** By flag of the agent. */
export const AGENT_MEANINGS: Readonly<Record<string, AgentMeaning>> = {
  namespace: { value: 'text', fallback: '', meaning: 'Namespace of the workload.' },
  workload: {
    value: 'text',
    fallback: '',
    meaning: 'Name of the workload; a bundle for another one is refused. Absent: any bundle is taken.',
  },
  'bundle-dir': { value: 'path', fallback: '/etc/sallyport/bundle', meaning: 'Folder of the mounted bundle.' },
  'labels-file': { value: 'path', fallback: '', meaning: "Downward-API file with the pod's labels." },
  'state-dir': { value: 'path', fallback: '', meaning: 'Writable folder that keeps the last good bundle over a restart of the container.' },
  ports: {
    value: 'listen:app,…',
    fallback: '',
    meaning: 'Ports that are guarded: where the agent listens, and the port of the application.',
  },
  'pod-ip': {
    value: 'address',
    fallback: '127.0.0.1',
    meaning: 'Where the application listens, and the destination address that policies see.',
  },
  'admin-port': {
    value: 'integer, 0 to 65535',
    fallback: '15020',
    meaning: 'Port of `/healthz`, `/readyz`, `/metrics` and `/app-health`.',
  },
  'blocked-port': { value: 'integer, 0 to 65535', fallback: '', meaning: 'Port that refuses connections to undeclared ports.' },
  'app-probes': { value: 'JSON', fallback: '{}', meaning: "The application's own probes, by `container/livez`, `readyz` or `startupz`." },
  'log-level': { value: '`trace`, `debug`, `info`, `warn`, `error`, `silent`', fallback: 'info', meaning: 'Lowest level of log lines.' },
  'access-log': { value: '`on`, `off`', fallback: 'on', meaning: 'One JSON line for each request.' },
  'access-log-sample-rate': {
    value: 'number, 0 to 1',
    fallback: '1',
    meaning: 'Share of the allowed requests that are logged; all others always are.',
  },
  'drain-seconds': { value: 'number, 0 to 3600', fallback: '10', meaning: 'How long open requests may go on after SIGTERM.' },
  'max-connections': {
    value: 'integer, 1 to 1000000',
    fallback: '10000',
    meaning: 'Client connections at the same time; further ones are reset.',
  },
};
