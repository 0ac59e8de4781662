/* A whole agent that terminates TLS: readiness, metrics and access log, with files that come after its start. */
import { readFileSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type RunningAgent, startAgent } from '../../../../src/agent/agent.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { ALLOW_ALL, filesOf, mountVolume, newFolder, simpleBundle } from '../bundles.ts';
import { talk } from '../loopback.ts';
import { CLIENT_URI, clientOptions, newMesh, TlsDirectory, talkTls } from './tls-stage.ts';

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

describe('an agent that terminates TLS', function () {
  this.timeout(20_000);
  let dir = '';
  let app: Server;
  let agent: RunningAgent | undefined;
  const directory = new TlsDirectory();
  const stop = new AbortController();
  before(async () => {
    dir = await newFolder();
    app = createServer((_request, response) => response.end('app'));
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    await mkdir(join(dir, 'bundle'));
    await mountVolume(join(dir, 'bundle'), filesOf(simpleBundle(ALLOW_ALL)));
  });
  after(async () => {
    stop.abort();
    await agent?.stop();
    app.close();
    directory.delete();
    await rm(dir, { recursive: true });
  });

  it('is ready with its first certificate, and says who its clients are and why others are refused', async () => {
    const log = await open(join(dir, 'access.log'), 'w');
    agent = await startAgent(
      {
        bundleDir: join(dir, 'bundle'),
        workload: undefined,
        labelsFile: undefined,
        labels: undefined,
        stateDir: undefined,
        pollMs: 10_000,
        ports: [{ listenPort: 0, appPort: (app.address() as AddressInfo).port }],
        listenHost: '127.0.0.1',
        appHost: '127.0.0.1',
        destinationIp: undefined,
        blockedPort: undefined,
        admin: { host: '127.0.0.1', port: 0 },
        appProbes: {},
        tls: { mode: 'strict', trustDomains: ['cluster.local'], files: directory.files },
        accessLog: { fd: log.fd, allowSampleRate: 1 },
        drainMs: 0,
        logger: createLogger({ level: 'silent', component: 'test' }),
        processMetrics: false,
      },
      stop.signal,
    );
    const [port = 0] = agent.ports;
    const ready = async (): Promise<string> => await (await fetch(`http://127.0.0.1:${agent?.adminPort}/readyz`)).text();
    const mesh = await newMesh();
    expect(await ready()).to.match(/^\[\+\]bundle ok\n\[-\]tls failed: tls\.crt: ENOENT/);
    expect((await talkTls(clientOptions(mesh, port), GET)).text).to.equal('');
    directory.write(mesh.server, mesh.authority.certPem);
    while ((await ready()) !== '[+]bundle ok\nok\n') await sleep(10);

    expect((await talkTls({ ...clientOptions(mesh, port), servername: 'app.example' }, GET)).text).to.match(/^HTTP\/1\.1 200/);
    expect(await talk(port, GET)).to.equal('');
    const text = agent.metrics.text();
    for (const line of [
      'sallyport_agent_tls_handshakes_total{result="no_own_certificate",version=""} 1',
      'sallyport_agent_tls_handshakes_total{result="ok",version="1.3"} 1',
      'sallyport_agent_tls_handshakes_total{result="plaintext",version=""} 1',
      'sallyport_agent_connections_closed_total{reason="handshake"} 2',
      'sallyport_agent_tls_certificate_refused_total 1',
    ])
      expect(text).to.include(`${line}\n`);
    expect(text).to.match(/^sallyport_agent_tls_certificate_expiry_timestamp_seconds 1\d{9}$/m);
    await agent.stop();
    const lines = readFileSync(join(dir, 'access.log'), 'utf8').trim().split('\n');
    await log.close();
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map(({ message, details }) => [message, details])).to.deep.equal([
      ['connection', 'tls_no_own_certificate'],
      ['request', ''],
      ['connection', 'tls_plaintext'],
    ]);
    expect(records[1]).to.include({
      'tls.protocol.version': '1.3',
      'tls.client.server_name': 'app.example',
      'source.principal': CLIENT_URI,
    });
  });
});
