import { expect } from 'chai';
import { readPodLog } from '../../../../src/cli/live/pod-log.ts';
import { createKubeClient } from '../../../../src/cluster/client.ts';
import { TransientError } from '../../../../src/errors.ts';
import { type FakeApiServer, startFakeApiServer } from '../../../support/fake-api-server.ts';

describe('log of a pod', () => {
  let server: FakeApiServer;
  beforeEach(async () => {
    server = await startFakeApiServer();
  });
  afterEach(() => server.stop());

  async function read(maxSilenceMs: number | undefined, signal: AbortSignal): Promise<string> {
    const client = createKubeClient({ version: '1', kubeconfig: server.kubeconfig });
    let text = '';
    const request = { pod: { namespace: 'shop', name: 'web-1' }, query: {}, maxSilenceMs };
    try {
      for await (const chunk of readPodLog(client, request, signal)) text += Buffer.from(chunk).toString('utf8');
      return text;
    } catch (thrown) {
      return `${text}${thrown instanceof TransientError ? thrown.code : String(thrown)}`;
    } finally {
      await client.close();
    }
  }

  it('gives up a log that is silent for too long', async () => {
    server.fault = (_request, response) => response.write('one,');

    expect(await read(20, new AbortController().signal)).to.equal('one,SP_TIMEOUT');
  });

  it('reports a connection that breaks', async () => {
    server.fault = (_request, response) => response.write('one,', () => setImmediate(() => response.destroy()));

    expect(await read(undefined, new AbortController().signal)).to.equal('one,SP_KUBE_API');
  });

  it('ends with the reason of the signal', async () => {
    const stop = new AbortController();
    server.fault = (_request, response) => response.write('one,', () => setTimeout(() => stop.abort(new Error('stopped')), 20));

    expect(await read(undefined, stop.signal)).to.match(/Error: stopped$/);
  });
});
