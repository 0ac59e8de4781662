/*
 * The alerts of the chart: templates/prometheusrule.yaml is written from them.
 */

/** An alert of Prometheus. */
export interface Alert {
  readonly name: string;
  /** PromQL; `{{ … }}` is of Helm. */
  readonly expr: string;
  /** How long the expression holds before the alert fires. */
  readonly for: string;
  readonly severity: 'critical' | 'warning';
  /** One sentence; `$labels` and `$value` are of Prometheus. */
  readonly summary: string;
  /** What to do. */
  readonly action: string;
}

const DENIED = 'sallyport_agent_decisions_total{action=~"deny|unauthenticated"}';

/** Alerts, the most urgent first. */
export const ALERTS: readonly Alert[] = [
  {
    name: 'SallyportControllerDown',
    expr: 'absent(sallyport_build_info)',
    for: '5m',
    severity: 'critical',
    summary: 'No controller is running: agents keep their last bundle, changed policies do not take effect, and no pod is injected.',
    action: 'kubectl get pods -n {{ .Release.Namespace }}',
  },
  {
    name: 'SallyportNoLeader',
    expr: 'max(leader_election_master_status{name="{{ include "sallyport.fullname" . }}-controller"}) < 1',
    for: '2m',
    severity: 'critical',
    summary: 'No controller leads: changed policies do not take effect.',
    action: 'kubectl get lease -n {{ .Release.Namespace }}, and the logs of the controllers',
  },
  {
    name: 'SallyportSigningKeysUnusable',
    expr: 'max(sallyport_signing_keys_usable) < 1',
    for: '2m',
    severity: 'critical',
    summary: 'The signing keys are missing or invalid: no bundle can be published.',
    action: 'sallyport keys show, and docs/tasks/signing-keys.md',
  },
  {
    name: 'SallyportWebhookCertificateExpires',
    expr: 'min(sallyport_webhook_certificate_expiry_timestamp_seconds) - time() < 604800',
    for: '15m',
    severity: 'critical',
    summary: 'The certificate of the webhook expires in less than a week, and was not renewed.',
    action: 'the logs of the controllers; with cert-manager, kubectl describe certificate',
  },
  {
    name: 'SallyportRequestsWithoutBundle',
    expr: 'sum by (namespace, pod) (increase(sallyport_agent_decisions_total{action="closed"}[5m])) > 0',
    for: '5m',
    severity: 'critical',
    summary: 'Pod {{ $labels.namespace }}/{{ $labels.pod }} answers 503, because it has no policy or cannot read the original destination.',
    action: 'kubectl sallyport bundle {{ $labels.pod }} -n {{ $labels.namespace }}',
  },
  {
    name: 'SallyportBundleRefused',
    expr: 'sum by (namespace, pod, code) (increase(sallyport_agent_bundle_refused_total[10m])) > 0',
    for: '5m',
    severity: 'warning',
    summary: 'The agent of {{ $labels.namespace }}/{{ $labels.pod }} refuses its bundle ({{ $labels.code }}) and enforces an older one.',
    action: 'kubectl sallyport bundle {{ $labels.pod }} -n {{ $labels.namespace }}',
  },
  {
    name: 'SallyportBundlesStale',
    expr: 'max by (state) (sallyport_bundles{state=~"pending|refused"}) > 0',
    for: '10m',
    severity: 'warning',
    summary: '{{ $value }} bundles are {{ $labels.state }}: their agents enforce an older version of the policies.',
    action: 'kubectl get requestauthentications,authorizationpolicies -A, and their condition Ready',
  },
  {
    name: 'SallyportBundleTampered',
    expr: 'sum(increase(sallyport_bundle_tampered_total[10m])) > 0',
    for: '0m',
    severity: 'warning',
    summary: 'Another client changed published bundles. They were written again, and agents refuse what is not signed.',
    action: 'the condition Tampered of the policies, and the audit log of the API server',
  },
  {
    name: 'SallyportKeysOld',
    expr: 'max by (namespace) (sallyport_jwks_age_seconds) > {{ int .Values.prometheusRule.keyAgeSeconds }}',
    for: '10m',
    severity: 'warning',
    summary: 'Keys of an issuer that policies of {{ $labels.namespace }} name were last fetched {{ $value | humanizeDuration }} ago.',
    action: 'the condition Ready of the RequestAuthentications of that namespace',
  },
  {
    name: 'SallyportDenyRatio',
    expr: `sum by (namespace) (rate(${DENIED}[10m])) / sum by (namespace) (rate(sallyport_agent_decisions_total[10m])) > {{ .Values.prometheusRule.denyRatio }} and sum by (namespace) (rate(sallyport_agent_decisions_total[10m])) > 0.1`,
    for: '15m',
    severity: 'warning',
    summary: '{{ $value | humanizePercentage }} of the requests in {{ $labels.namespace }} are refused.',
    action: 'kubectl sallyport logs deployment/NAME -n {{ $labels.namespace }} --denied',
  },
  {
    name: 'SallyportEventLoopDelay',
    expr: 'max by (pod) (nodejs_eventloop_lag_p99_seconds * on (pod, namespace) group_left sallyport_build_info) > 0.2',
    for: '10m',
    severity: 'warning',
    summary:
      'The event loop of controller {{ $labels.pod }} is delayed by {{ $value | humanizeDuration }}: webhooks and the lease are at risk.',
    action: 'CPU limits of the controller, and the number of workers',
  },
  {
    name: 'SallyportWatchEventsMissed',
    expr: 'sum(increase(sallyport_resync_changes_total[1h])) > 0',
    for: '0m',
    severity: 'warning',
    summary: 'A resync updated bundles that watch events should have updated.',
    action: 'report it with kubectl sallyport bug-report -A',
  },
  {
    name: 'SallyportAccessLogDropped',
    expr: 'sum by (namespace, pod) (increase(sallyport_agent_access_log_dropped_total[10m])) > 0',
    for: '10m',
    severity: 'warning',
    summary: 'The agent of {{ $labels.namespace }}/{{ $labels.pod }} loses lines of its access log, because their reader is too slow.',
    action: 'the log collector of the node, or agent.accessLogSampleRate',
  },
];

/** Text of templates/prometheusrule.yaml. */
export function prometheusRule(): string {
  return `{{- /* Written by scripts/gen-chart.ts from scripts/observability/alerts.ts; change it there. */ -}}
{{- if .Values.prometheusRule.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ include "sallyport.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "sallyport.labels" . | nindent 4 }}
    {{- with .Values.prometheusRule.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- include "sallyport.annotations" (list . (dict)) }}
spec:
  groups:
    - name: sallyport
      rules:
${ALERTS.map(ruleText).join('')}{{- end }}
`;
}

function ruleText({ name, expr, for: duration, severity, summary, action }: Alert): string {
  return `        - alert: ${name}
          expr: >-
            ${expr}
          for: ${duration}
          labels:
            severity: ${severity}
          annotations:
            summary: >-
              ${ofPrometheus(summary)}
            action: >-
              ${ofPrometheus(action)}
`;
}

/** Prometheus renders `$labels` and `$value`; Helm must leave them alone. */
function ofPrometheus(text: string): string {
  return text.replaceAll(/\{\{ (\$(?:labels|value)[^}]*) \}\}/g, '{{ `{{ $1 }}` }}');
}
