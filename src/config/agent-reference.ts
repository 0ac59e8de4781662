/*
 * Descriptions of the agent's settings, for the reference page. They are not in the schemas of `agent.ts`, because the agent
 * would carry them in its memory.
 */
import type { AgentSetting } from './agent.ts';

/** One row of the reference page. */
export interface AgentSettingReference {
  /** What may be written, such as `integer, 0 to 65535`. */
  readonly value: string;
  /** As written in a flag; empty: none. A unit test compares it with what the agent really uses. */
  readonly fallback: string;
  /** Markdown, with the final period. */
  readonly description: string;
}

/** Every setting of the agent by its flag. */
export const AGENT_REFERENCE: Readonly<Record<AgentSetting, AgentSettingReference>> = {
  namespace: { value: 'string', fallback: '', description: 'Namespace of the workload.' },
  workload: {
    value: 'string',
    fallback: '',
    description: 'Name of the workload; a bundle for another workload is rejected. Absent: any bundle is accepted.',
  },
  'workload-kind': {
    value: 'string',
    fallback: 'deployment',
    description: 'Kind of the workload in lower case, such as `statefulset`.',
  },
  'trust-anchor': {
    value: 'JSON',
    fallback: '',
    description:
      'The cluster and its public root keys, as `sallyport keys show --anchor` prints them. Only bundles that are signed for this workload are accepted. Absent: bundles need no signature.',
  },
  'bundle-floor': { value: 'integer', fallback: '0', description: 'Lowest number of a signed bundle that is accepted.' },
  feed: {
    value: 'JSON',
    fallback: '',
    description:
      'Where the controller serves the feed: `address` (host and port), `authorities` (certificates in PEM), and optionally `serverName` (that of the certificate; absent: the host) and `tokenFile` (absent: `/var/run/secrets/sallyport.dev/feed/token`). Absent: bundles come through the mounted volume only.',
  },
  'bundle-dir': { value: 'path', fallback: '/etc/sallyport/bundle', description: 'Directory of the mounted bundle.' },
  'labels-file': {
    value: 'path',
    fallback: '',
    description:
      "Downward API file with the pod's labels. Absent: labels are unknown, and only a bundle with a single variant can be enforced.",
  },
  'state-dir': {
    value: 'path',
    fallback: '',
    description: 'Writable directory that keeps the last good bundle when the container restarts. Absent: it is not kept.',
  },
  ports: {
    value: 'listen:app,…',
    fallback: '',
    description: 'Ports that the agent serves: the port on which it listens, and the port of the application.',
  },
  'app-protocols': {
    value: 'list of `port:protocol`; `*` for every other port',
    fallback: '',
    description:
      'What the application speaks on its ports: `http1`, `http2`, `tcp` or `client` (what each client speaks); for example `8080:http2`. Absent: `client`.',
  },
  'pod-ip': {
    value: 'address',
    fallback: '127.0.0.1',
    description: 'Address on which the application listens; policies see it as the destination address.',
  },
  'admin-port': {
    value: 'integer, 0 to 65535',
    fallback: '15020',
    description: 'Port of `/healthz`, `/readyz`, `/metrics` and `/app-health`.',
  },
  'capture-port': {
    value: 'integer, 0 to 65535',
    fallback: '',
    description:
      'Port to which all inbound connections are redirected: each leads to the address and port that the client connected to. Absent: only `--ports` are served.',
  },
  'profiling-port': {
    value: 'integer, 1 to 65535',
    fallback: '',
    description: 'Port on 127.0.0.1 for CPU and heap profiles of the agent. Absent: no profiles.',
  },
  'blocked-port': {
    value: 'integer, 0 to 65535',
    fallback: '',
    description:
      'Port to which connections to undeclared ports are redirected; the agent resets them. Absent: the agent does not listen there.',
  },
  'app-probes': {
    value: 'JSON',
    fallback: '{}',
    description: "The application's own probes and HTTP hooks, by `container/livez`, `readyz`, `startupz`, `poststartz` or `prestopz`.",
  },
  'log-level': {
    value: '`trace`, `debug`, `info`, `warn`, `error`, `silent`',
    fallback: 'info',
    description: 'Lowest level of log lines.',
  },
  'log-format': {
    value: '`json`, `text`',
    fallback: 'json',
    description: 'Form of log lines; access log lines are always JSON.',
  },
  'access-log': { value: '`on`, `off`', fallback: 'on', description: 'Writes one JSON line for each request.' },
  'access-log-sample-rate': {
    value: 'number, 0 to 1',
    fallback: '1',
    description: 'Share of allowed requests that are logged; all other requests are always logged.',
  },
  'drain-seconds': {
    value: 'number, 0 to 3600',
    fallback: '10',
    description: 'Seconds that open requests have to finish after SIGTERM.',
  },
  'max-connections': {
    value: 'integer, 1 to 1000000',
    fallback: '10000',
    description: 'Maximum number of client connections; further ones are reset.',
  },
  'otlp-endpoint': {
    value: 'URL',
    fallback: '',
    description:
      'OpenTelemetry collector that gets a span for each sampled request, by OTLP over HTTP (JSON); `/v1/traces` is added. Absent: no traces.',
  },
  'traces-sampler': {
    value: '`always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, `parentbased_always_off`, `parentbased_traceidratio`',
    fallback: 'parentbased_always_on',
    description: 'Which requests are traced. Those with `parentbased` follow the client; the rest applies to traces that begin here.',
  },
  'traces-sampler-arg': { value: 'number, 0 to 1', fallback: '1', description: 'Share of traces, for samplers by ratio.' },
  'pod-name': { value: 'string', fallback: '', description: 'Name of the pod, an attribute of traces.' },
  'accept-http10': {
    value: '`on`, `off`',
    fallback: 'off',
    description: 'Serves clients that speak HTTP/1.0, which get 426 otherwise.',
  },
  tls: {
    value: 'JSON',
    fallback: '',
    description:
      'How TLS is terminated: `mode` (`permissive` or `strict`), `trustDomains` (a client needs a SPIFFE ID of one of them), and optionally `directory` (absent: `/etc/sallyport/tls`) and the file names `certificate`, `key` and `trustBundle` (absent: `tls.crt`, `tls.key` and `ca.crt`). Absent: TLS passes through.',
  },
  'reevaluate-streams': {
    value: '`on`, `off`',
    fallback: 'off',
    description: 'Evaluates open exchanges and TCP connections again when the policy changes and when their token expires.',
  },
};
