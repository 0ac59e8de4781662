/*
 * Settings of key servers that follow the configuration and one Secret: what is watched, what is reported, and what takes effect.
 */
import { expect } from 'chai';
import type { KeyServer } from '../../../src/api/key-servers.ts';
import { systemClock } from '../../../src/clock.ts';
import { createKubeClient, type KubeClient } from '../../../src/cluster/client.ts';
import { createKeyServers, type KeyServers } from '../../../src/controller/key-servers.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { answerStatus, type FakeApiServer, startFakeApiServer } from '../../support/fake-api-server.ts';
import { until } from '../../support/fake-clock.ts';

const ORIGIN = 'https://idp.example';
const withHeader = (name: string, key = 'token'): KeyServer => ({
  url: ORIGIN,
  headers: [{ name: 'x-key', valueFrom: { secretKeyRef: { name, key } } }],
});
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('settings of key servers in a controller', () => {
  let server: FakeApiServer;
  let client: KubeClient;
  let configured: readonly KeyServer[];
  let reports: string[];
  let changes: number;
  let servers: KeyServers;
  let follow: () => void;
  const stopping = { current: new AbortController() };
  let running: Promise<void>;

  const start = (first: readonly KeyServer[]): void => {
    configured = first;
    servers = createKeyServers({
      client,
      namespace: 'system',
      source: {
        current: () => configured,
        subscribe: (listener) => {
          follow = listener;
          return () => undefined;
        },
      },
      clock: systemClock,
      random: () => 0,
      logger: createLogger({ level: 'silent', component: 'test' }),
      onProblems: (problems) => reports.push(problems.join('; ')),
    });
    servers.subscribe(() => {
      changes += 1;
    });
    running = servers.run(stopping.current.signal);
  };
  const header = (): string | undefined => servers.serverOf(new URL(`${ORIGIN}/keys`))?.headers['x-key'];

  beforeEach(async () => {
    [reports, changes, stopping.current] = [[], 0, new AbortController()];
    server = await startFakeApiServer();
    client = createKubeClient({ kubeconfig: server.kubeconfig, version: '0', qps: 1000, burst: 1000 });
  });
  afterEach(async () => {
    stopping.current.abort();
    await running;
    await client.close();
    await server.stop();
  });

  it('read a Secret by its name, and again when it changes', async () => {
    server.put({ metadata: { namespace: 'system', name: 'idp' }, data: { token: base64('one') } });
    start([withHeader('idp')]);
    await servers.whenRead(stopping.current.signal);
    expect([header(), reports]).to.deep.equal(['one', []]);
    const [listed] = server.requests;
    expect([listed?.path, listed?.query.get('fieldSelector')]).to.deep.equal(['/api/v1/namespaces/system/secrets', 'metadata.name=idp']);
    await until(() => server.watches.length === 1, 'the watch');
    server.put({ metadata: { namespace: 'system', name: 'idp' }, data: { token: base64('two') } });
    await until(() => header() === 'two', 'the new value');

    server.remove('idp');
    await until(() => reports.length === 1, 'the report');
    expect(reports[0]).to.equal('jwks.servers.0.headers.0.valueFrom: Secret "idp" in namespace system does not exist');
    expect(servers.serverOf(new URL(`${ORIGIN}/keys`))?.isBroken).to.equal(true);
    expect(changes).to.equal(3);
  });

  it('name a Secret that may not be read, and wait for it no longer', async () => {
    server.fault = (_request, response) => answerStatus(response, 403, 'Forbidden');
    start([withHeader('idp')]);
    await servers.whenRead(stopping.current.signal);
    expect(reports.join()).to.match(
      /the controller has no rights to watch Secret "idp" in namespace system \(chart: jwks\.servers grants them\)/,
    );
  });

  it('name a key that is missing, or not text, and follow the configuration', async () => {
    server.put({ metadata: { namespace: 'system', name: 'idp' }, data: { token: base64('one'), bytes: '//79' } });
    start([withHeader('idp', 'other')]);
    await until(() => reports.length === 1, 'the first report');
    expect(reports[0]).to.include('Secret "idp" in namespace system has no key "other"');
    configured = [withHeader('idp', 'bytes')];
    follow();
    await until(() => reports.length === 2, 'the second report');
    expect(reports[1]).to.include('key "bytes" of Secret "idp" is not UTF-8');
    configured = [withHeader('idp')];
    follow();
    await until(() => header() === 'one', 'the value');
    configured = [];
    follow();
    expect([header(), reports.at(-1)]).to.deep.equal([undefined, '']);
  });
});
