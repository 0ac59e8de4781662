/* Writes that are not sent any more once the lease may be lost. */
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../../src/cluster/client.ts';
import { fencedClient } from '../../../src/cluster/fenced-client.ts';
import { type FakeApiServer, startFakeApiServer } from '../../support/fake-api-server.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

const GET = { method: 'GET', path: '/api/v1/pods' } as const;
const PUT = { method: 'PUT', path: '/api/v1/pods/a', body: {} } as const;

let server: FakeApiServer;
let clock: FakeClock;
let client: KubeClient;
let mayWrite: boolean;

const codeOf = (request: Promise<unknown>): Promise<unknown> =>
  request.then(
    () => 'sent',
    (thrown: { readonly code?: unknown }) => thrown.code,
  );

describe('fencedClient', () => {
  beforeEach(async () => {
    server = await startFakeApiServer();
    clock = createFakeClock();
    mayWrite = true;
    client = fencedClient(createKubeClient({ kubeconfig: server.kubeconfig, version: '0', clock, qps: 1, burst: 1 }), () => mayWrite);
  });
  afterEach(async () => {
    await client.close();
    await server.stop();
  });

  it('sends no write while the lease is not held, but reads', async () => {
    mayWrite = false;
    const written = await codeOf(client.request(PUT));
    clock.advance(1_000);
    const read = await codeOf(client.request(GET));

    expect([written, read]).to.deep.equal(['SP_KUBE_FENCED', 'sent']);
    expect(server.requests.map(({ method }) => method)).to.deep.equal(['GET']);
  });

  it('does not send a write that waited for the request limit while the lease was lost', async () => {
    expect(await codeOf(client.request(PUT))).to.equal('sent');
    const waiting = codeOf(client.request(PUT));
    mayWrite = false;
    clock.advance(1_000);

    expect(await waiting).to.equal('SP_KUBE_FENCED');
    expect(server.requests).to.have.length(1);
  });
});
