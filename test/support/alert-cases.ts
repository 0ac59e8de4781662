/*
 * Series with which each alert fires, and similar ones with which it does not; for `promtool test rules`.
 */

/** A series in promtool's notation: `0+1x30` counts up, `1x30` stays. */
type Series = readonly [series: string, values: string];

/** Cases of one alert. Minutes count from the first sample, one sample a minute. */
export interface AlertCase {
  readonly alert: string;
  readonly firing: readonly Series[];
  /** When it fires, in minutes. */
  readonly after: number;
  /** Labels of the alert, without its severity. */
  readonly labels: Readonly<Record<string, string>>;
  /** `$value` as the summary shows it; absent: it does not. */
  readonly value?: string;
  readonly quiet: readonly Series[];
}

const AGENT = 'namespace="shop",pod="web-0"';
const CONTROLLER = 'namespace="sallyport-system",pod="sallyport-0"';

/** One case for each alert. */
export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'SallyportControllerDown',
    firing: [[`sallyport_agent_connections{${AGENT}}`, '1x30']],
    after: 6,
    labels: {},
    quiet: [[`sallyport_build_info{${CONTROLLER}}`, '1x30']],
  },
  {
    alert: 'SallyportNoLeader',
    firing: [
      [`leader_election_master_status{name="sallyport-controller",${CONTROLLER}}`, '0x30'],
      ['leader_election_master_status{name="another-operator"}', '1x30'],
    ],
    after: 3,
    labels: {},
    quiet: [
      [`leader_election_master_status{name="sallyport-controller",${CONTROLLER}}`, '0x30'],
      ['leader_election_master_status{name="sallyport-controller",pod="sallyport-1"}', '1x30'],
    ],
  },
  {
    alert: 'SallyportSigningKeysUnusable',
    firing: [[`sallyport_signing_keys_usable{${CONTROLLER}}`, '0x30']],
    after: 3,
    labels: {},
    quiet: [[`sallyport_signing_keys_usable{${CONTROLLER}}`, '1x30']],
  },
  {
    alert: 'SallyportWebhookCertificateExpires',
    // promtool starts at the epoch: 6 days, and 8.
    firing: [[`sallyport_webhook_certificate_expiry_timestamp_seconds{${CONTROLLER}}`, '518400x30']],
    after: 16,
    labels: {},
    quiet: [[`sallyport_webhook_certificate_expiry_timestamp_seconds{${CONTROLLER}}`, '691200x30']],
  },
  {
    alert: 'SallyportRequestsWithoutBundle',
    firing: [[`sallyport_agent_decisions_total{action="closed",${AGENT}}`, '0+1x30']],
    after: 8,
    labels: { namespace: 'shop', pod: 'web-0' },
    quiet: [
      [`sallyport_agent_decisions_total{action="closed",${AGENT}}`, '7x30'],
      [`sallyport_agent_decisions_total{action="deny",${AGENT}}`, '0+1x30'],
    ],
  },
  {
    alert: 'SallyportBundleRefused',
    firing: [[`sallyport_agent_bundle_refused_total{code="SP_BUNDLE_SIGNATURE",${AGENT}}`, '0 1x29']],
    after: 8,
    labels: { namespace: 'shop', pod: 'web-0', code: 'SP_BUNDLE_SIGNATURE' },
    quiet: [[`sallyport_agent_bundle_refused_total{code="SP_BUNDLE_SIGNATURE",${AGENT}}`, '1x30']],
  },
  {
    alert: 'SallyportBundlesStale',
    firing: [[`sallyport_bundles{state="pending",${CONTROLLER}}`, '3x30']],
    after: 11,
    labels: { state: 'pending' },
    value: '3',
    quiet: [
      [`sallyport_bundles{state="pending",${CONTROLLER}}`, '3x5 0x25'],
      [`sallyport_bundles{state="published",${CONTROLLER}}`, '40x30'],
    ],
  },
  {
    alert: 'SallyportBundleTampered',
    firing: [[`sallyport_bundle_tampered_total{${CONTROLLER}}`, '0 1x29']],
    after: 3,
    labels: {},
    quiet: [[`sallyport_bundle_tampered_total{${CONTROLLER}}`, '2x30']],
  },
  {
    alert: 'SallyportKeysOld',
    firing: [[`sallyport_jwks_age_seconds{namespace="shop",pod="sallyport-0"}`, '90000x30']],
    after: 11,
    labels: { namespace: 'shop' },
    value: '1d 1h 0m 0s',
    quiet: [[`sallyport_jwks_age_seconds{namespace="shop",pod="sallyport-0"}`, '600x30']],
  },
  {
    alert: 'SallyportDenyRatio',
    firing: [
      [`sallyport_agent_decisions_total{action="deny",${AGENT}}`, '0+45x40'],
      [`sallyport_agent_decisions_total{action="unauthenticated",${AGENT}}`, '0+30x40'],
      [`sallyport_agent_decisions_total{action="allow",${AGENT}}`, '0+25x40'],
    ],
    after: 30,
    labels: { namespace: 'shop' },
    value: '75%',
    // All requests are refused, but at less than 0.1 a second; most are allowed.
    quiet: [
      [`sallyport_agent_decisions_total{action="deny",${AGENT}}`, '0+3x40'],
      ['sallyport_agent_decisions_total{action="deny",namespace="bank",pod="b"}', '0+10x40'],
      ['sallyport_agent_decisions_total{action="allow",namespace="bank",pod="b"}', '0+90x40'],
    ],
  },
  {
    alert: 'SallyportEventLoopDelay',
    firing: [
      [`nodejs_eventloop_lag_p99_seconds{${CONTROLLER}}`, '0.5x30'],
      [`sallyport_build_info{version="1",${CONTROLLER}}`, '1x30'],
    ],
    after: 11,
    labels: { pod: 'sallyport-0' },
    value: '500ms',
    // Another program on Node.js is late, and the controller is not.
    quiet: [
      [`nodejs_eventloop_lag_p99_seconds{${CONTROLLER}}`, '0.01x30'],
      [`sallyport_build_info{version="1",${CONTROLLER}}`, '1x30'],
      ['nodejs_eventloop_lag_p99_seconds{namespace="shop",pod="web-0"}', '3x30'],
    ],
  },
  {
    alert: 'SallyportWatchEventsMissed',
    firing: [[`sallyport_resync_changes_total{${CONTROLLER}}`, '0 1x29']],
    after: 3,
    labels: {},
    quiet: [[`sallyport_resync_changes_total{${CONTROLLER}}`, '1x30']],
  },
  {
    alert: 'SallyportAccessLogDropped',
    firing: [[`sallyport_agent_access_log_dropped_total{${AGENT}}`, '0+5x30']],
    after: 13,
    labels: { namespace: 'shop', pod: 'web-0' },
    quiet: [[`sallyport_agent_access_log_dropped_total{${AGENT}}`, '0 5x29']],
  },
];
