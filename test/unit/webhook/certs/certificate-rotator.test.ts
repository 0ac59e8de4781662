/* Who writes the certificates and when, against an API server in memory. */
import { expect } from 'chai';
import type { KubeClient, KubeRequest, KubeResponse } from '../../../../src/cluster/client.ts';
import { RefusedError, TransientError } from '../../../../src/errors.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { type CertificateRotatorOptions, passOnce, rotateCertificates } from '../../../../src/webhook/certs/certificate-rotator.ts';
import { createFakeClock, type FakeClock, until } from '../../../support/fake-clock.ts';

const SECRET = '/api/v1/namespaces/system/secrets/sallyport-webhook';
const MUTATING = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sallyport-injection';

interface Stored {
  metadata: { resourceVersion: string };
  data?: Record<string, string>;
  webhooks?: { name: string; clientConfig: { caBundle?: string } }[];
}

describe('certificate rotator', () => {
  const signal = new AbortController().signal;
  let objects: Map<string, Stored>;
  let writes: string[];
  let isLeader: boolean;
  let clock: FakeClock;
  let options: CertificateRotatorOptions;
  let served: string[];

  const patch = (request: KubeRequest, object: Stored): void => {
    writes.push(request.path);
    if (request.contentType === 'application/json-patch+json') {
      for (const { op, path, value } of request.body as { op: string; path: string; value: string }[]) {
        const webhook = object.webhooks?.[Number(path.split('/')[2])];
        if (op === 'add' && webhook !== undefined) webhook.clientConfig.caBundle = value;
      }
      return;
    }
    const body = request.body as Stored;
    if (body.metadata.resourceVersion !== object.metadata.resourceVersion) throw new TransientError('SP_KUBE_CONFLICT', 'changed');
    object.data = { ...object.data, ...body.data };
    object.metadata = { resourceVersion: String(Number(object.metadata.resourceVersion) + 1) };
  };

  const request = (asked: KubeRequest): Promise<KubeResponse> => {
    const object = objects.get(asked.path);
    if (object === undefined) return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'not found'));
    if (asked.method === 'PATCH') patch(asked, object);
    return Promise.resolve({ status: 200, json: structuredClone(object) });
  };

  beforeEach(() => {
    objects = new Map<string, Stored>([
      [SECRET, { metadata: { resourceVersion: '1' } }],
      [
        MUTATING,
        {
          metadata: { resourceVersion: '1' },
          webhooks: [
            { name: 'a', clientConfig: {} },
            { name: 'b', clientConfig: {} },
          ],
        },
      ],
    ]);
    writes = [];
    served = [];
    isLeader = true;
    clock = createFakeClock();
    options = {
      client: { request } as KubeClient,
      secret: { namespace: 'system', name: 'sallyport-webhook' },
      configurations: { mutating: 'sallyport-injection', validating: 'not-installed' },
      dnsNames: ['sallyport.system.svc'],
      isLeader: () => isLeader,
      onServing: ({ serving }) => served.push(serving.certPem),
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
    };
  });

  it('issues certificates, sets the caBundle of every webhook, then writes nothing', async () => {
    const made = await passOnce(options, signal);

    expect(writes).to.deep.equal([SECRET, MUTATING]);
    const bundles = objects
      .get(MUTATING)
      ?.webhooks?.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? '', 'base64').toString());
    expect(bundles).to.deep.equal([made?.authority.certPem, made?.authority.certPem]);
    expect(await passOnce(options, signal)).to.deep.equal(made);
    expect(writes).to.have.length(2);
  });

  it('writes nothing while another replica leads, and serves its certificates', async () => {
    isLeader = false;
    expect(await passOnce(options, signal)).to.equal(undefined);

    isLeader = true;
    const made = await passOnce(options, signal);
    isLeader = false;
    const writesBefore = writes.length;

    expect(await passOnce(options, signal)).to.deep.equal(made);
    expect(writes).to.have.length(writesBefore);
  });

  it('does not overwrite certificates that another leader wrote first', async () => {
    const slower: KubeClient = {
      ...options.client,
      request: async (asked) => {
        const answer = await request(asked);
        const secret = objects.get(SECRET);
        if (asked.method === 'GET' && asked.path === SECRET && secret !== undefined) secret.metadata = { resourceVersion: '7' };
        return answer;
      },
    };

    const lost = await passOnce({ ...options, client: slower }, signal).catch((error: unknown) => error);

    expect(lost).to.be.instanceOf(TransientError);
    expect(objects.get(SECRET)?.data).to.equal(undefined);
  });

  it('reports a missing Secret and does not create it', async () => {
    objects.delete(SECRET);

    const failure = await passOnce(options, signal).catch((error: unknown) => error);

    expect(String(failure)).to.contain('Secret system/sallyport-webhook is missing');
    expect(writes).to.deep.equal([]);
  });

  it('retries after a failure, and reports each certificate once', async () => {
    const secret = objects.get(SECRET);
    objects.delete(SECRET);
    const stopping = new AbortController();
    const rotation = rotateCertificates(options, stopping.signal);
    await until(() => clock.pending().length === 1, 'the first pause');
    if (secret !== undefined) objects.set(SECRET, secret);

    for (let pass = 0; pass < 3; pass += 1) {
      clock.advance(15_000);
      await until(() => clock.pending().length === 1, 'the next pause');
    }
    stopping.abort();
    await rotation;

    expect(served).to.have.length(1);
    expect(clock.pending()).to.deep.equal([]);
  });
});
