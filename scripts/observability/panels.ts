/*
 * What the Grafana dashboards of the chart show.
 */

/** A graph of one or several queries. */
export interface Panel {
  readonly title: string;
  readonly description: string;
  /** As Grafana names units. */
  readonly unit: string;
  /** PromQL, and the legend of its series. */
  readonly queries: readonly (readonly [expr: string, legend: string])[];
  readonly type?: 'timeseries' | 'stat' | 'table';
}

/** A dashboard. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** A metric whose label `namespace` the variable has. */
  readonly namespaceOf: string;
  readonly panels: readonly Panel[];
}

/** Filter by the variable of the dashboard. */
const IN = 'namespace=~"$namespace"';
const rate = (metric: string, by: string, filter = IN): string => `sum by (${by}) (rate(${metric}{${filter}}[$__rate_interval]))`;
const quantile = (q: number, metric: string, by = '', filter = IN): string =>
  `histogram_quantile(${q}, sum by (${['le', by].filter((one) => one !== '').join(', ')}) (rate(${metric}_bucket{${filter}}[$__rate_interval])))`;

const CONTROLLER: Dashboard = {
  uid: 'sallyport-controller',
  title: 'Sallyport / Controller',
  description: 'Is the control plane keeping up: bundles, queues, keys, webhooks, API requests.',
  namespaceOf: 'sallyport_build_info',
  panels: [
    {
      title: 'Leader',
      description: '1: a controller leads.',
      unit: 'none',
      type: 'stat',
      queries: [[`max(leader_election_master_status{${IN}})`, 'leader']],
    },
    {
      title: 'Signing keys',
      description: '1: bundles can be signed.',
      unit: 'none',
      type: 'stat',
      queries: [[`max(sallyport_signing_keys_usable{${IN}})`, 'usable']],
    },
    {
      title: 'Webhook certificate',
      description: 'Time until the certificate expires.',
      unit: 's',
      type: 'stat',
      queries: [[`min(sallyport_webhook_certificate_expiry_timestamp_seconds{${IN}}) - time()`, 'left']],
    },
    {
      title: 'Bundles',
      description: 'Workloads by the state of their bundle. Pending and refused ones enforce an older version.',
      unit: 'none',
      queries: [[`max by (state) (sallyport_bundles{${IN}})`, '{{state}}']],
    },
    {
      title: 'Policies',
      description: 'Policies by kind and validity.',
      unit: 'none',
      queries: [[`max by (kind, valid) (sallyport_policies{${IN}})`, '{{kind}} valid={{valid}}']],
    },
    {
      title: 'Workloads',
      description: 'Workloads with and without agents.',
      unit: 'none',
      queries: [[`max by (agent) (sallyport_workloads{${IN}})`, 'agent={{agent}}']],
    },
    {
      title: 'Publications',
      description: 'Attempts by result.',
      unit: 'ops',
      queries: [[rate('sallyport_bundle_publish_total', 'result'), '{{result}}']],
    },
    {
      title: 'Compilation',
      description: 'Seconds to compile one bundle.',
      unit: 's',
      queries: [
        [quantile(0.5, 'sallyport_bundle_compile_seconds'), 'p50'],
        [quantile(0.99, 'sallyport_bundle_compile_seconds'), 'p99'],
      ],
    },
    { title: 'Queues', description: 'Keys that wait.', unit: 'none', queries: [[`sum by (name) (workqueue_depth{${IN}})`, '{{name}}']] },
    {
      title: 'Time in queues',
      description: 'p99 of the seconds that a key waits.',
      unit: 's',
      queries: [[quantile(0.99, 'workqueue_queue_duration_seconds', 'name'), '{{name}}']],
    },
    {
      title: 'Webhooks',
      description: 'Reviews by result.',
      unit: 'reqps',
      queries: [[rate('sallyport_admission_reviews_total', 'webhook, result'), '{{webhook}} {{result}}']],
    },
    {
      title: 'Webhook latency',
      description: 'p99 of the seconds to respond.',
      unit: 's',
      queries: [[quantile(0.99, 'controller_runtime_webhook_latency_seconds', 'webhook'), '{{webhook}}']],
    },
    {
      title: 'API requests',
      description: 'By method and status.',
      unit: 'reqps',
      queries: [[rate('rest_client_requests_total', 'method, code'), '{{method}} {{code}}']],
    },
    {
      title: 'Watch restarts',
      description: 'Watches that had to connect or list again.',
      unit: 'ops',
      queries: [[rate('sallyport_watch_restarts_total', 'resource, reason'), '{{resource}} {{reason}}']],
    },
    {
      title: 'Key fetches',
      description: 'By result.',
      unit: 'ops',
      queries: [[rate('sallyport_jwks_fetch_total', 'result'), '{{result}}']],
    },
    {
      title: 'Event loop delay',
      description: 'p99 of the delay of the event loop.',
      unit: 's',
      queries: [
        [`max by (pod) (nodejs_eventloop_lag_p99_seconds{${IN}} * on (pod, namespace) group_left sallyport_build_info)`, '{{pod}}'],
      ],
    },
    {
      title: 'Memory',
      description: 'Resident memory.',
      unit: 'bytes',
      queries: [[`max by (pod) (process_resident_memory_bytes{${IN}} * on (pod, namespace) group_left sallyport_build_info)`, '{{pod}}']],
    },
    {
      title: 'CPU',
      description: 'CPU seconds per second.',
      unit: 'none',
      queries: [
        [
          `sum by (pod) (rate(process_cpu_seconds_total{${IN}}[$__rate_interval]) * on (pod, namespace) group_left sallyport_build_info)`,
          '{{pod}}',
        ],
      ],
    },
  ],
};

const AGENTS: Dashboard = {
  uid: 'sallyport-agents',
  title: 'Sallyport / Agents',
  description: 'What agents cost and whether they are healthy: requests, latency, bundles, connections, limits.',
  namespaceOf: 'sallyport_agent_connections',
  panels: [
    {
      title: 'Requests',
      description: 'By decision.',
      unit: 'reqps',
      queries: [[rate('sallyport_agent_decisions_total', 'action'), '{{action}}']],
    },
    {
      title: 'Responses',
      description: 'By status class.',
      unit: 'reqps',
      queries: [[rate('sallyport_agent_responses_total', 'class'), '{{class}}']],
    },
    {
      title: 'Time to decide',
      description: 'Seconds from the request head to the verdict.',
      unit: 's',
      queries: [
        [quantile(0.5, 'sallyport_agent_decision_seconds'), 'p50'],
        [quantile(0.99, 'sallyport_agent_decision_seconds'), 'p99'],
      ],
    },
    {
      title: 'Time of requests',
      description: 'Seconds from the request head to the end of the response, with the application.',
      unit: 's',
      queries: [
        [quantile(0.5, 'sallyport_agent_request_seconds'), 'p50'],
        [quantile(0.99, 'sallyport_agent_request_seconds'), 'p99'],
      ],
    },
    {
      title: 'Bundle age',
      description: 'Seconds since the active bundle was activated.',
      unit: 's',
      queries: [[`max by (namespace, pod) (sallyport_agent_bundle_age_seconds{${IN}})`, '{{namespace}}/{{pod}}']],
    },
    {
      title: 'Refused bundles',
      description: 'By error code; the last good bundle stays active.',
      unit: 'ops',
      queries: [[rate('sallyport_agent_bundle_refused_total', 'code'), '{{code}}']],
    },
    {
      title: 'Connections',
      description: 'Open client connections.',
      unit: 'none',
      queries: [[`sum by (namespace) (sallyport_agent_connections{${IN}})`, '{{namespace}}']],
    },
    {
      title: 'Closed connections',
      description: 'By reason.',
      unit: 'ops',
      queries: [[rate('sallyport_agent_connections_closed_total', 'reason'), '{{reason}}']],
    },
    {
      title: 'Revoked streams',
      description: 'Exchanges and TCP connections that were evaluated again and are not allowed any longer, by reason.',
      unit: 'ops',
      queries: [[rate('sallyport_agent_streams_revoked_total', 'reason'), '{{reason}}']],
    },
    {
      title: 'Failures of applications',
      description: 'Requests for which the application sent no complete response.',
      unit: 'reqps',
      queries: [[rate('sallyport_agent_upstream_failures_total', 'namespace'), '{{namespace}}']],
    },
    {
      title: 'Limits',
      description: 'How often a limit was reached.',
      unit: 'ops',
      queries: [[rate('sallyport_agent_limit_reached_total', 'limit'), '{{limit}}']],
    },
    {
      title: 'Lost log lines',
      description: 'Because the reader of the log is too slow.',
      unit: 'ops',
      queries: [[rate('sallyport_agent_access_log_dropped_total', 'namespace'), '{{namespace}}']],
    },
    {
      title: 'Verified tokens',
      description: 'Signatures verified; others were cached.',
      unit: 'ops',
      queries: [[rate('sallyport_agent_token_verifications_total', 'namespace'), '{{namespace}}']],
    },
    {
      title: 'Memory',
      description: 'Resident memory, largest agents.',
      unit: 'bytes',
      queries: [
        [
          `topk(10, max by (namespace, pod) (process_resident_memory_bytes{${IN}} * on (namespace, pod) group_left max by (namespace, pod) (sallyport_agent_connections * 0 + 1)))`,
          '{{namespace}}/{{pod}}',
        ],
      ],
    },
  ],
};

const POLICIES: Dashboard = {
  uid: 'sallyport-policies',
  title: 'Sallyport / Policies',
  description: 'Who is denied by what, and what dry-run policies would do.',
  namespaceOf: 'sallyport_agent_policy_decisions_total',
  panels: [
    {
      title: 'Refused requests',
      description: 'Share of requests that are refused by a policy.',
      unit: 'percentunit',
      type: 'stat',
      queries: [
        [
          `${rate('sallyport_agent_decisions_total', 'namespace', `${IN},action=~"deny|unauthenticated"`)} / ${rate('sallyport_agent_decisions_total', 'namespace')}`,
          '{{namespace}}',
        ],
      ],
    },
    {
      title: 'Reasons',
      description: 'Refused requests by reason.',
      unit: 'reqps',
      queries: [
        [rate('sallyport_agent_decisions_total', 'action, reason', `${IN},action=~"deny|unauthenticated"`), '{{action}} {{reason}}'],
      ],
    },
    {
      title: 'Refusals by policy',
      description: 'none: no ALLOW rule matched; the access log names the nearest one.',
      unit: 'reqps',
      queries: [
        [
          `topk(20, ${rate('sallyport_agent_policy_decisions_total', 'policy, action', `${IN},action=~"deny|unauthenticated"`)})`,
          '{{action}} by {{policy}}',
        ],
      ],
    },
    {
      title: 'Allowed by policy',
      description: 'Requests that a rule of the policy let in.',
      unit: 'reqps',
      queries: [[`topk(20, ${rate('sallyport_agent_policy_decisions_total', 'policy', `${IN},action="allow"`)})`, '{{policy}}']],
    },
    {
      title: 'Refusals by pod',
      description: 'Where requests are refused.',
      unit: 'reqps',
      queries: [
        [
          `topk(20, ${rate('sallyport_agent_decisions_total', 'namespace, pod', `${IN},action=~"deny|unauthenticated"`)})`,
          '{{namespace}}/{{pod}}',
        ],
      ],
    },
    {
      title: 'Dry-run policies',
      description: 'What they would do.',
      unit: 'reqps',
      queries: [[rate('sallyport_agent_dry_run_decisions_total', 'policy, action'), '{{policy}} {{action}}']],
    },
    {
      title: 'Most refusing policies of the time range',
      description: 'Requests refused in the time range.',
      unit: 'none',
      type: 'table',
      queries: [
        [
          `topk(20, sum by (namespace, policy, action) (increase(sallyport_agent_policy_decisions_total{${IN},action=~"deny|unauthenticated"}[$__range])))`,
          '',
        ],
      ],
    },
  ],
};

/** All dashboards. */
export const DASHBOARDS: readonly Dashboard[] = [CONTROLLER, AGENTS, POLICIES];
