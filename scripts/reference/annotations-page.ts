/*
 * docs/reference/annotations.md: every label and annotation of src/api/kube/names.ts, who sets it and its meaning. A name that
 * is missing here fails the generator.
 */
import * as names from '../../src/api/kube/names.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

type LabelName = { [K in keyof typeof names]: K extends `${string}_${'LABEL' | 'ANNOTATION'}` ? K : never }[keyof typeof names];

/** A copy, to index the names by their constant. */
const nameByConstant: typeof names = { ...names };

interface Row {
  readonly on: string;
  readonly value: string;
  readonly meaning: string;
}

function quantityRow(what: string, bound: string): Row {
  return { on: 'pod template', value: 'quantity', meaning: `${what}; at most ${code(`agent.annotationBounds.${bound}`)}.` };
}

function secondsRow(meaning: string): Row {
  return { on: 'pod template', value: 'integer, 1 to 3600', meaning };
}

const SET_BY_YOU: Partial<Record<LabelName, Row>> = {
  INJECTION_LABEL: {
    on: 'label of a Namespace or a pod template',
    value: '`enabled`, `disabled`',
    meaning: 'On a Namespace, `enabled` injects an agent into new pods; on a pod template, `disabled` opts out.',
  },
  INCLUDE_PORTS_ANNOTATION: {
    on: 'pod template',
    value: 'ports, comma-separated',
    meaning:
      'Ports to capture in addition to those of `traffic.sidecar.istio.io/includeInboundPorts`. Without that annotation every port is captured, and this one has no effect.',
  },
  EXCLUDE_PORTS_ANNOTATION: {
    on: 'pod template',
    value: 'ports, comma-separated',
    meaning:
      'Ports that are not captured, at most 1000: requests to them reach the application without evaluation. The webhook captures them nevertheless when a policy of the root namespace selects the pod, unless `agent.annotationBounds.excludePorts` is `all`.',
  },
  ISTIO_INCLUDE_PORTS_ANNOTATION: {
    on: 'pod template',
    value: 'ports, comma-separated, or `*`',
    meaning:
      "Istio's annotation: the only ports that are captured. Requests to every other port reach the application without evaluation. The webhook ignores it when a policy of the root namespace selects the pod, unless `agent.annotationBounds.excludePorts` is `all`.",
  },
  REWRITE_PROBES_ANNOTATION: {
    on: 'pod template',
    value: '`false`',
    meaning: 'Does not rewrite probes and HTTP lifecycle hooks; they then pass through the agent, and policies apply to them.',
  },
  ACCESS_LOG_ANNOTATION: {
    on: 'pod template',
    value: '`on`, `off`',
    meaning: `With \`off\` the agent logs no allowed requests; denials too only if ${code('agent.annotationBounds.accessLogOff')} allows it.`,
  },
  ACCESS_LOG_SAMPLE_RATE_ANNOTATION: {
    on: 'pod template',
    value: 'number, 0 to 1',
    meaning: 'Share of allowed requests that the agent logs; all others are always logged.',
  },
  ACCEPT_HTTP10_ANNOTATION: {
    on: 'pod template, workload of `sallyport run`',
    value: '`on`, `off`',
    meaning: 'With `on` the agent serves clients that speak HTTP/1.0 and send Host; otherwise they get 426, as in Istio.',
  },
  REEVALUATE_STREAMS_ANNOTATION: {
    on: 'pod template, workload of `sallyport run`',
    value: '`on`, `off`',
    meaning:
      'With `on` the agent evaluates open exchanges and TCP connections again when the policy changes and when their token expires, and ends those ' +
      'that are not allowed any longer. Absent: `off`, as in Istio.',
  },
  PROFILING_PORT_ANNOTATION: {
    on: 'pod template',
    value: 'integer, 1024 to 65535',
    meaning:
      'Port on 127.0.0.1 on which the agent serves [profiles](../tasks/profile.md) of itself; the application must not use it. Absent: no profiles.',
  },
  APP_PROTOCOL_ANNOTATION: {
    on: 'pod template, workload of `sallyport run`',
    value: '`http1`, `http2`, `tcp`, `client`',
    meaning:
      'What the application speaks on all its ports. `client`: what each client speaks; `tcp`: not HTTP. Absent: by `appProtocol` or the name of the ' +
      "Service's port, or the name of the container port, as far as injection knows them; else `client`.",
  },
  LOG_LEVEL_ANNOTATION: {
    on: 'pod template',
    value: '`trace`, `debug`, `info`, `warn`, `error`, `silent`',
    meaning: "Log level of the agent's own lines; it does not affect the access log.",
  },
  DRAIN_SECONDS_ANNOTATION: {
    on: 'pod template',
    value: 'number, 0 to 3600',
    meaning: `Seconds that open requests have to finish when the pod stops; at most ${code('agent.annotationBounds.drainSeconds')}.`,
  },
  MAX_CONNECTIONS_ANNOTATION: {
    on: 'pod template',
    value: 'integer, 1 to 1000000',
    meaning: `Maximum number of client connections; at most ${code('agent.annotationBounds.maxConnections')}.`,
  },
  TLS_ANNOTATION: {
    on: 'pod template',
    value: '`off`, `permissive`, `strict`',
    meaning: `Whether the agent terminates [mutual TLS](../tasks/mutual-tls.md); not weaker than ${code('agent.tls.mode')}.`,
  },
  TLS_SECRET_ANNOTATION: {
    on: 'pod template',
    value: 'name',
    meaning: `Secret with the certificate, the key and the trust bundle; without effect where ${code('agent.tls.volume')} is set.`,
  },
  TLS_VOLUME_ANNOTATION: {
    on: 'pod template',
    value: 'name',
    meaning: `Volume of the pod with these files, for example the one that spiffe-helper writes; without effect where ${code('agent.tls.volume')} is set.`,
  },
  TLS_FILES_ANNOTATION: {
    on: 'pod template',
    value: 'three file names',
    meaning:
      'Names of the files with the certificate, the key and the trust bundle, separated by commas; absent: `tls.crt,tls.key,ca.crt`.',
  },
  AGENT_CPU_ANNOTATION: quantityRow('CPU request of the agent', 'cpuLimit'),
  AGENT_CPU_LIMIT_ANNOTATION: quantityRow('CPU limit of the agent', 'cpuLimit'),
  AGENT_MEMORY_ANNOTATION: quantityRow('Memory request of the agent', 'memoryLimit'),
  AGENT_MEMORY_LIMIT_ANNOTATION: quantityRow('Memory limit of the agent', 'memoryLimit'),
  INIT_CPU_ANNOTATION: quantityRow('CPU request of the init container', 'cpuLimit'),
  INIT_CPU_LIMIT_ANNOTATION: quantityRow('CPU limit of the init container', 'cpuLimit'),
  INIT_MEMORY_ANNOTATION: quantityRow('Memory request of the init container', 'memoryLimit'),
  INIT_MEMORY_LIMIT_ANNOTATION: quantityRow('Memory limit of the init container', 'memoryLimit'),
  READINESS_PERIOD_ANNOTATION: secondsRow("`periodSeconds` of the agent's readiness probe."),
  READINESS_TIMEOUT_ANNOTATION: secondsRow("`timeoutSeconds` of the agent's readiness probe."),
  READINESS_FAILURES_ANNOTATION: secondsRow("`failureThreshold` of the agent's readiness probe."),
  STARTUP_FAILURES_ANNOTATION: secondsRow("`failureThreshold` of the agent's startup probe."),
  UPSTREAM_ANNOTATION: {
    on: 'workload in `sallyport run`',
    value: '`host:port`',
    meaning: 'Address on which the application listens; gives the workload an agent.',
  },
  LISTEN_ANNOTATION: {
    on: 'workload in `sallyport run`',
    value: '`host:port`',
    meaning: 'Address on which the agent accepts requests; absent: a free loopback port.',
  },
  REFRESH_KEYS_ANNOTATION: {
    on: 'RequestAuthentication',
    value: 'text',
    meaning:
      'Each new value, such as the time, makes the controller fetch the keys of the rules now, at most once in 10 s for each source.',
  },
  DRY_RUN_ANNOTATION: {
    on: 'AuthorizationPolicy',
    value: '`true`, `false`',
    meaning: 'As in Istio: with `true` the policy is evaluated and logged, but never decides.',
  },
};

const SET_BY_US: Partial<Record<LabelName, Row>> = {
  AGENT_ANNOTATION: { on: 'pod', value: 'JSON', meaning: 'What injection changed; marks a pod that has an agent.' },
  BUNDLE_TOUCH_ANNOTATION: {
    on: 'pod',
    value: 'digest',
    meaning: 'Set by the controller after a change, so that the kubelet refreshes the mounted bundle immediately.',
  },
  BUNDLE_LABEL: { on: "label of a bundle's ConfigMap", value: '', meaning: 'Marks the ConfigMaps that the controller owns.' },
  WORKLOAD_LABEL: {
    on: "label of a bundle's ConfigMap",
    value: 'name',
    meaning: 'Name of the workload; shortened with a hash when longer than 63 characters.',
  },
  MANAGED_BY_LABEL: {
    on: "label of a bundle's ConfigMap",
    value: code(names.MANAGED_BY),
    meaning: 'The label that Kubernetes recommends.',
  },
  WORKLOAD_KIND_ANNOTATION: {
    on: 'ConfigMap of agents of an earlier version',
    value: 'kind',
    meaning: 'Kind of the workload in lower case.',
  },
  DIGEST_ANNOTATION: { on: "bundle's ConfigMap", value: '`sha256:…`', meaning: 'Digest of the bundle.' },
};

const READ_ONLY: Partial<Record<LabelName, Row>> = {
  GATEWAY_NAME_LABEL: {
    on: 'label of a pod',
    value: 'name',
    meaning: 'Gateway to which the pod belongs; policies select it by `targetRefs`.',
  },
};

/** Text of docs/reference/annotations.md. @throws Error when a label or annotation has no row */
export function annotationsPage(): string {
  const known = { ...SET_BY_YOU, ...SET_BY_US, ...READ_ONLY };
  const missing = Object.keys(names).filter((name) => /_(LABEL|ANNOTATION)$/.test(name) && !Object.hasOwn(known, name));
  if (missing.length > 0) throw new Error(`scripts/reference/annotations-page.ts does not describe ${missing.join(', ')}`);
  return [
    GENERATED,
    '# Labels and annotations\n\nAnnotations unless stated otherwise. Source: `src/api/kube/names.ts`.\n\n',
    `## Set by you\n\n${section(SET_BY_YOU)}`,
    `\n## Set by Sallyport\n\n${section(SET_BY_US)}`,
    `\n## Set by others and read by Sallyport\n\n${section(READ_ONLY)}`,
  ].join('');
}

function section(rows: Partial<Record<LabelName, Row>>): string {
  return markdownTable(
    ['name', 'on', 'value', 'meaning'],
    Object.entries(rows).map(([name, row]) => [code(nameByConstant[name as LabelName]), row.on, row.value, row.meaning]),
  );
}
