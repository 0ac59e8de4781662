/*
 * A feed without a cluster: every token is that of the pod `foo/web` at 127.0.0.1, which the agent under test belongs to.
 */
import { systemClock } from '../../src/clock.ts';
import type { FeedSource } from '../../src/feed-server/agent-streams.ts';
import { type FeedServerOptions, type RunningFeed, startFeed } from '../../src/feed-server/start-feed.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import type { KeyPair } from '../../src/webhook/certs/issue.ts';
import { pod } from '../unit/controller/pods-and-policies.ts';

/** What differs between such feeds. */
export interface OnePodFeedOptions extends Pick<FeedServerOptions, 'reports' | 'identities'> {
  /** Absent: 127.0.0.1. */
  readonly host?: string;
  /** Absent: any free port. */
  readonly port?: number;
  readonly leaderHost?: () => string | undefined;
  /** Absent members: there is no bundle, and nothing happens. */
  readonly source?: Partial<FeedSource>;
  readonly serving: KeyPair;
  readonly authority: KeyPair;
}

/** Starts listening. */
export async function startOnePodFeed(options: OnePodFeedOptions): Promise<RunningFeed> {
  const { host = '127.0.0.1', port = 0, leaderHost = () => undefined, source, serving, authority, ...others } = options;
  const feed = await startFeed({
    ...others,
    host,
    port,
    tlsMinVersion: 'TLSv1.3',
    maxStreams: 4,
    tokens: {
      verify: async () => ({ namespace: 'foo', name: 'web', uid: 'uid', serviceAccount: 'default', expiresMs: Date.now() + 600_000 }),
    },
    source: {
      podOf: () => ({ ...pod({ name: 'web', uid: 'uid', ip: '127.0.0.1' }), serviceAccount: 'default' }),
      onPod: () => () => undefined,
      currentOf: () => undefined,
      onAhead: () => undefined,
      onUnknownKeys: () => [],
      onBundle: () => () => undefined,
      ...source,
    },
    isReady: () => true,
    leaderHost,
    clock: systemClock,
    logger: createLogger({ level: 'silent', component: 'test' }),
    observer: { onRefused: () => undefined, onClosed: () => undefined, onBundle: () => undefined, onUnknownKey: () => undefined },
  });
  feed.serve(serving, authority.certPem);
  return feed;
}
