/*
 * A whole agent that gets the identities of pods from a real feed: what its first policy that asks for them waits for. Clients connect from
 * loopback addresses, which pods have.
 */
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningAgent, startAgent } from '../../../src/agent/agent.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { systemClock } from '../../../src/clock.ts';
import { IdentityFeed } from '../../../src/feed-server/identity-feed.ts';
import { COLLECT_MS, HOLD_MS } from '../../../src/feed-server/identity-table.ts';
import type { RunningFeed } from '../../../src/feed-server/start-feed.ts';
import { createStore } from '../../../src/state/store.ts';
import { createAgentReports } from '../../../src/status/agent-reports.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { issueAuthority, issueServing, type KeyPair } from '../../../src/webhook/certs/issue.ts';
import { createFakeClock, until } from '../../support/fake-clock.ts';
import { startOnePodFeed } from '../../support/one-pod-feed.ts';
import { pod } from '../controller/pods-and-policies.ts';
import { allow, programOf } from '../filters/chains.ts';
import { ALLOW_ALL, filesOf, mountVolume, newFolder, simpleBundle } from './bundles.ts';

const SERVER_NAME = 'sallyport.system.svc';
const [FRIEND_IP, STRANGER_IP] = ['127.0.0.21', '127.0.0.23'];
const logger = createLogger({ level: 'silent', component: 'test' });
const friends = programOf([allow('friends', { from: [{ source: { serviceAccounts: ['shop/friend'] } }] })], {
  peerIdentity: { podIP: true },
});

describe('an agent with identities of pods', () => {
  let authority: KeyPair;
  let serving: KeyPair;
  let directory: string;
  let bundleDir: string;
  let app: Server;
  let isEnabled: boolean;
  const stopping: (() => unknown)[] = [];

  before(async () => {
    authority = await issueAuthority(Date.now(), 86_400_000);
    serving = await issueServing(authority, [SERVER_NAME], { nowMs: Date.now(), validMs: 86_400_000 });
  });
  beforeEach(async () => {
    isEnabled = true;
    directory = await newFolder();
    bundleDir = join(directory, 'bundle');
    await mkdir(bundleDir);
    await writeFile(join(directory, 'token'), 'token\n');
    app = createServer((_request, response) => void response.write('event'));
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
  });
  afterEach(async () => {
    for (const stop of stopping.splice(0).reverse()) await stop();
    app.close();
    app.closeAllConnections();
    await rm(directory, { recursive: true });
  });

  const identityFeed = (): IdentityFeed => {
    const clock = createFakeClock();
    const pods = createStore<SlimPod, never>({
      keyOf: ({ namespace, name }) => `${namespace}/${name}` as never,
      indexes: {},
      same: () => false,
    });
    const settings = { isEnabled: () => isEnabled, isCurrent: () => true, trustDomain: () => 'cluster.local' };
    const identities = new IdentityFeed({ clock, pods, ...settings });
    pods.upsert({ ...pod({ namespace: 'shop', name: 'friend', uid: 'f', ip: FRIEND_IP }), phase: 'Running', serviceAccount: 'friend' });
    clock.advance(HOLD_MS + COLLECT_MS);
    stopping.push(() => identities.stop());
    return identities;
  };
  const startController = async (port = 0): Promise<RunningFeed> => {
    const reports = createAgentReports(systemClock);
    reports.beginTerm();
    const started = await startOnePodFeed({ port, reports, identities: identityFeed(), serving, authority });
    stopping.push(async () => {
      await started.stop();
      reports.endTerm();
    });
    return started;
  };
  const start = async (feedPort: number): Promise<RunningAgent> => {
    const agent = await startAgent(
      {
        bundleDir,
        workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
        labelsFile: undefined,
        labels: {},
        stateDir: undefined,
        pollMs: 20,
        ports: [{ listenPort: 0, appPort: (app.address() as AddressInfo).port }],
        listenHost: '127.0.0.1',
        appHost: '127.0.0.1',
        destinationIp: undefined,
        blockedPort: undefined,
        admin: undefined,
        appProbes: {},
        reevaluateStreams: true,
        accessLog: undefined,
        drainMs: 0,
        logger,
        processMetrics: false,
        feed: {
          host: '127.0.0.1',
          port: feedPort,
          serverName: SERVER_NAME,
          authorities: authority.certPem,
          tokenFile: join(directory, 'token'),
        },
      },
      new AbortController().signal,
    );
    stopping.push(() => agent.stop());
    return agent;
  };
  /** Status of a request from an address, on a new connection. */
  const get = (agent: RunningAgent, localAddress: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: agent.ports[0], localAddress, agent: false }, (response) => {
        resolve(response.statusCode ?? 0);
        sent.destroy();
      });
      sent.once('error', reject);
      sent.end();
    });
  /** A request from an address whose response has begun. */
  const open = async (agent: RunningAgent, localAddress: string): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port: agent.ports[0] ?? 0, localAddress });
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'data');
    return socket.resume();
  };

  it('is not ready before it knows the pods that its first policy lets in', async () => {
    const { port, stop } = await startController();
    await stop();
    await mountVolume(bundleDir, filesOf(simpleBundle(friends)));
    const agent = await start(port);
    expect([await get(agent, FRIEND_IP), agent.digest()]).to.deep.equal([503, undefined]);
    await startController(port);
    await agent.ready();
    expect([await get(agent, FRIEND_IP), await get(agent, STRANGER_IP)]).to.deep.equal([200, 403]);
  });

  it('keeps the streams of pods that its first policy for pods allows, and ends the others', async () => {
    await mountVolume(bundleDir, filesOf(simpleBundle(ALLOW_ALL)));
    const { port, streams } = await startController();
    const agent = await start(port);
    await until(() => streams() === 1, 'the stream of the feed');
    const [friend, stranger] = [await open(agent, FRIEND_IP), await open(agent, STRANGER_IP)];
    const ended = once(stranger, 'close');
    await mountVolume(bundleDir, filesOf(simpleBundle(friends)));
    await ended;
    expect([friend.readyState, await get(agent, FRIEND_IP)]).to.deep.equal(['open', 200]);
    friend.destroy();
  });

  it('does not wait where the configuration has no identities by address', async () => {
    isEnabled = false;
    await mountVolume(bundleDir, filesOf(simpleBundle(friends)));
    const { port } = await startController();
    const startMs = performance.now();
    const agent = await start(port);
    await agent.ready();
    expect(performance.now() - startMs).to.be.below(10_000);
    expect(await get(agent, FRIEND_IP)).to.equal(403);
  });
});
