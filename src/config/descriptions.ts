/*
 * Descriptions of the settings that both the controller's configuration and the chart's values have. Schemas carry every
 * other description themselves; the reference page, the chart's schema and the comments in its values.yaml come from them.
 */

/** One sentence or fragment of Markdown per setting, without the final period. */
export const DESCRIPTIONS = {
  logLevel: 'Lowest level of log lines: `trace`, `debug`, `info`, `warn`, `error` or `silent`',
  logFormat:
    'Form of log lines: `json`, or `text` for people, with colours on a terminal unless `NO_COLOR` is set. Access log lines are always JSON',
  profilingPort: 'Port on 127.0.0.1 for CPU and heap profiles of the controller; 0: no profiles',
  workers: 'Number of workloads that are compiled and published at the same time',
  watchNamespaces:
    'Namespaces that the controller reads and writes, at most 100, in addition to the root namespace and its own; empty: all namespaces. The controller then needs Roles in these namespaces only',
  jwksRefresh: 'Longest time between two fetches of a key set; the Cache-Control header of the response may shorten it',
  jwksBlockedCidrs: 'Address ranges from which keys are never fetched, in addition to loopback, link-local and metadata addresses',
  jwksInternalCidrs:
    'Public address ranges that belong to the cluster: as for private addresses, the status of a policy does not report what a fetch found there',
  jwksInternalSources:
    'Addresses inside the cluster from which keys may be fetched, for policies of which namespaces; the default allows all to all namespaces, an empty array none. Public addresses are not affected',
  jwksInternalSourceCidrs: 'Address ranges inside the cluster',
  jwksInternalSourceNamespaces: 'Namespaces whose policies may name these addresses; absent: all namespaces',
  jwksServers:
    'How keys are fetched from single servers, at most 32; the entry with the longest matching URL counts. Credentials are references to Secrets, which are read again when they change',
  jwksServerUrl:
    'Everything below this http(s) URL: the same scheme, host and port, and its path or one below it. Policies of all namespaces may name such URLs',
  jwksServerCaBundle: 'Certificate authorities in PEM that may sign the certificate of the server, in place of all others',
  jwksServerCaBundleFrom: 'The same from a key of a Secret (`secretKeyRef`) or ConfigMap (`configMapKeyRef`), in place of `caBundle`',
  jwksServerProxy: 'Forward proxy, e.g. `http://proxy.example:3128`; absent: as the environment says',
  jwksServerProxyFrom: 'The same from a key of a Secret, with credentials (`http://user:password@proxy.example:3128`), in place of `proxy`',
  jwksServerTimeout: 'Deadline of a fetch, `100ms` to `30s`; absent: the timeout of the JWT rule',
  jwksServerHeaders: 'Additional request headers, at most 8, over https only; they are not sent after a redirect to another server',
  jwksServerHeaderName: 'Name of the header',
  jwksServerHeaderValue: 'Its value, a key of a Secret (`secretKeyRef`)',
  kubeApiQps: 'Average limit of requests per second to the API server',
  kubeApiBurst: 'Number of requests to the API server that may exceed the limit after a pause',
  webhookPort: 'Port on which the controller serves admission webhooks to the API server',
  newAccessWarnings:
    'Warns, when a policy is applied, what the edit lets in that was refused before; analysed for at most 200 ms, in a worker thread',
  tlsMinVersion: 'Lowest TLS version that the webhook accepts: `TLSv1.2` or `TLSv1.3`',
  agentLogLevel: 'Log level of injected agents',
  agentLogFormat: 'Form of the log lines of injected agents, `json` or `text`; access log lines are always JSON',
  agentAccessLog: 'Whether agents write one JSON line for each request: `on` or `off`',
  agentAccessLogSampleRate: 'Share of allowed requests that agents log, 0 to 1; all other requests are always logged',
  agentDrainSeconds: 'Seconds that open requests have to finish when a pod stops',
  agentMaxConnections: 'Maximum number of client connections of an agent; further ones are reset',
  agentTracesEndpoint:
    'OpenTelemetry collector to which agents send a span for each sampled request, by OTLP over HTTP, e.g. `http://collector.observability:4318`; `/v1/traces` is added',
  agentTracesSampler:
    'Which requests are traced, as `OTEL_TRACES_SAMPLER`: with `parentbased_…`, what the client of a request says counts, and the rest of the name applies to traces that begin at the agent',
  agentTracesSamplerArg: 'Share of traces for samplers by ratio, 0 to 1',
  captureMode:
    'Who redirects the connections of a pod to its agent: `pod`: its init container, which needs NET_ADMIN; `node`: a DaemonSet, while an init container without any right waits, so that pods may run in namespaces of the Pod Security levels `baseline` and `restricted`',
  tracesEndpoint:
    'OpenTelemetry collector to which the controller sends spans of its work, by OTLP over HTTP, e.g. `http://collector.observability:4318`; `/v1/traces` is added',
  tracesSampler:
    'Which of them are sent, as `OTEL_TRACES_SAMPLER`; with `parentbased_…` an API server that traces its requests decides about those to webhooks',
  tracesSamplerArg: 'Share of traces of the controller for samplers by ratio, 0 to 1',
  agentTls:
    'Whether agents terminate mutual TLS (`mode`: `off`, `permissive` or `strict`; annotations may be stricter), the source of the volume with the certificate of each agent (`volume`: `csi`, `secret` or `projected`), and the names of the files in it (`certificate`, `key` and `trustBundle`; absent: `tls.crt`, `tls.key` and `ca.crt`)',
  initResources: "Resources of the agent's init container; when empty, those of the agent",
  annotationBounds: 'What annotations of pods may change; a value beyond a bound is clamped, with an event on the pod',
  agentRepositories:
    'Image repositories without tag and digest whose images also count as agents, for example the earlier registry of a moved image; only the operator may push to them',
  privilegedContainers:
    'Containers that could bypass the agent of their pod (shared processes, NET_ADMIN, SYS_PTRACE and the like, privileged, the user of the agent): `refuse` does not admit the pod, `report` admits it and names it in the condition Enforced',
  istioPods:
    "Pods with Istio's proxy or in its ambient mesh, where both data planes would redirect connections: `refuse` does not admit them, `inject` gives them an agent, although both listen on port 15006, `skip` leaves them to Istio, without an agent",
  reportsEnabled:
    'Writes findings about policies and workloads without protection as `Report` objects of `openreports.io/v1alpha1`, one per namespace, and a `ClusterReport` for policies of the root namespace. The CRDs must be installed',
  feedEnabled:
    'Serves new bundles to agents over streams, without a patch of each pod, and reports in the condition `Programmed` of each policy how many agents enforce it. Pods take part once they are created again',
  feedPort: 'Port on which the controller serves the feed to agents',
  feedNodeAgent:
    'ServiceAccount, as `namespace/name`, of agents that get the bundles of all pods of their node over one stream; absent: every agent serves its own pod',
  feedMaxStreams: 'Number of agents that each replica serves over the feed; further ones get bundles through their volumes only',
  feedTokenFile:
    'File with a ServiceAccount token of this pod for the audience `feed.sallyport.dev`, with which a replica reports its agents to the leader; without it only the leader serves agents',
  agentImagePullPolicy: 'Image pull policy of injected agents',
} as const;
