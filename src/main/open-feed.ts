/*
 * Starts the feed of the controller, and its stream to the leader while another replica leads.
 */
import { readFile } from 'node:fs/promises';
import { systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { ControllerConfig } from '../config/controller.ts';
import type { Manager } from '../controller/manager.ts';
import { REPLICA } from '../feed/relay-frames.ts';
import { connectFeed, type FeedConnection } from '../feed-client/feed-stream.ts';
import { createLeaderRelay, type LeaderRelay } from '../feed-relay/leader-relay.ts';
import { IdentityFeed } from '../feed-server/identity-feed.ts';
import { accountOfToken, createPodTokens } from '../feed-server/pod-tokens.ts';
import { type RunningFeed, startFeed } from '../feed-server/start-feed.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import type { AgentReports } from '../status/agent-reports.ts';
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WebhookOptions } from '../webhook/start-webhook.ts';

/** What the feed needs. */
export interface FeedParts {
  readonly config: ControllerConfig;
  readonly logger: Logger;
  readonly metrics: ControllerMetrics;
  readonly client: KubeClient;
  readonly mesh: { readonly current: () => { readonly peerIdentity: { readonly podIP: boolean }; readonly trustDomain: string } };
  readonly agents: AgentReports;
}

/** A feed, and where agents find it once there is a certificate. */
export interface OpenFeed extends Pick<RunningFeed, 'stop'> {
  readonly serve: NonNullable<WebhookOptions['onCertificate']>;
  readonly injected: NonNullable<WebhookOptions['feed']>;
}

/** Starts listening; stopped by `stop`. @throws the system error if the port is not available */
export async function openFeed(parts: FeedParts, from: Manager['feed']): Promise<OpenFeed> {
  const { config, logger, metrics, client, mesh, agents } = parts;
  const { host, port, maxStreams, nodeAgent, tokenFile } = config.feed;
  const serverName = `${config.webhook.service}.${config.namespace}.svc`;
  const open: Pick<RunningFeed, 'streams' | 'doubled' | 'relayed'> = { streams: () => 0, doubled: () => 0, relayed: () => 0 };
  const identities = new IdentityFeed({
    clock: systemClock,
    pods: from.pods,
    isEnabled: () => mesh.current().peerIdentity.podIP,
    isCurrent: from.isCurrent,
    trustDomain: () => mesh.current().trustDomain,
  });
  let injected: ReturnType<OpenFeed['injected']>;
  const authorities = (): string => injected?.authorities ?? '';
  const token = tokenFile === undefined ? '' : await readFile(tokenFile, 'utf8').catch(() => '');
  if (tokenFile !== undefined && token === '') logger.warn({ tokenFile }, 'no token of this pod; only the leader serves agents');
  const relay = token === '' ? undefined : relayOf(parts, from, { serverName, authorities });
  const feed = await startFeed({
    host,
    port,
    maxStreams,
    ...(nodeAgent === undefined ? {} : { nodeAgent }),
    ...(relay === undefined ? {} : { relay, isRelaying: relay.isOpen, replicaAccount: accountOfToken(token.trim()) }),
    tlsMinVersion: config.webhook.tlsMinVersion,
    source: from.source,
    identities,
    reports: agents,
    isReady: from.isReady,
    leaderHost: from.leaderHost,
    tokens: createPodTokens({ client, clock: systemClock }),
    clock: systemClock,
    logger: logger.child({ part: 'feed' }),
    observer: metrics.feed({
      streams: () => open.streams(),
      relayed: () => open.relayed(),
      isRelaying: () => relay?.isOpen() === true,
      doubled: () => open.doubled(),
      identities: () => identities.size,
      identityStreams: () => identities.subscribers,
    }),
  });
  Object.assign(open, { streams: feed.streams, doubled: feed.doubled, relayed: feed.relayed });
  const stopping = new AbortController();
  const relaying = relay?.run(stopping.signal);
  return {
    stop: async () => {
      identities.stop();
      stopping.abort();
      await feed.stop();
      await relaying;
    },
    serve: ({ serving, authorities: trusted }) => {
      feed.serve(serving, trusted);
      injected = { address: `${serverName}:${port}`, authorities: trusted };
    },
    injected: () => injected,
  };
}

interface LeaderCertificate {
  readonly serverName: string;
  /** In PEM; empty: not known yet. */
  readonly authorities: () => string;
}

function relayOf(
  { config, logger, agents }: FeedParts,
  { leaderHost, fromLeader }: Manager['feed'],
  leader: LeaderCertificate,
): LeaderRelay {
  const { host: own, port, tokenFile = '' } = config.feed;
  const isAnyAddress = own === '0.0.0.0' || own === '::';
  const connect = async (host: string, signal: AbortSignal): Promise<FeedConnection> => {
    const authorities = leader.authorities();
    if (authorities === '') return { kind: 'refused', reason: 'there is no certificate yet' };
    try {
      // The kubelet renews it.
      const token = (await readFile(tokenFile, 'utf8')).trim();
      const { serverName } = leader;
      const from = isAnyAddress ? undefined : own;
      const patience = LIMITS.feedConnectTime;
      return await connectFeed({ host, port, serverName, authorities: [authorities], token, from, takes: REPLICA, patience }, signal);
    } catch (error) {
      return { kind: 'refused', reason: String(error) };
    }
  };
  return createLeaderRelay({
    clock: systemClock,
    logger: logger.child({ part: 'feed-relay' }),
    random: Math.random,
    isLeading: agents.isLeading,
    leaderHost,
    connect,
    silence: LIMITS.feedSilence,
    onBundle: ({ workload, ...bundle }) => fromLeader.set(workload, bundle),
    onWithdrawn: (workload) => fromLeader.delete(workload),
    onEnd: () => fromLeader.clear(),
  });
}
