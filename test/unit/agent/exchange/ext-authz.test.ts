/*
 * Ext_authz checks of an exchange in memory: which part of the body a server sees, what its response leads to, clients that leave.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import type { ExtAuthzClient } from '../../../../src/agent/context.ts';
import { systemClock } from '../../../../src/clock.ts';
import { type CheckResponse, checkDenied } from '../../../../src/filters/check-response.ts';
import type { CheckVerdict } from '../../../../src/filters/verdict.ts';
import type { HeaderChange } from '../../../../src/http/header-changes.ts';
import type { BodyPrefix } from '../../../../src/http/stream.ts';
import { httpChain } from '../../filters/chains.ts';
import { ALLOW, chainWithChecks, type Limits, partial, whole } from '../check-chain.ts';
import { logOf } from '../loopback.ts';
import { type MemoryStage, memoryStage } from '../memory-stage.ts';

describe('exchange: ext_authz checks', () => {
  let bodies: (BodyPrefix | undefined)[] = [];
  let response: CheckResponse = ALLOW;
  const extAuthz: ExtAuthzClient = async (_check, body) => {
    bodies.push(body);
    await turn();
    return response;
  };
  beforeEach(() => {
    bodies = [];
    response = ALLOW;
  });

  const checking = (limits: readonly (Limits | undefined)[], changes: readonly HeaderChange[] = []): MemoryStage =>
    memoryStage({ filterChain: chainWithChecks(limits, changes), extAuthz });
  const seen = (): readonly string[] =>
    bodies.map((body) => (body === undefined ? 'none' : `${body.bytes.toString()}${body.whole ? '' : '…'}`));
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 20; turns += 1) await turn();
  };

  const cases: readonly (readonly [string, readonly (Limits | undefined)[], readonly string[]])[] = [
    ['no body when the provider wants none', [undefined], ['none']],
    ['a whole body', [whole(5)], ['abcde']],
    ['the beginning of a body', [partial(3)], ['abc…']],
    ['a body as large as the limit', [partial(5)], ['abcde']],
    ['one byte too many of a body that is too large', [whole(3)], ['abcd…']],
    ['to each server what its provider wants', [whole(2), undefined, partial(4), whole(9)], ['abc…', 'none', 'abcd…', 'abcde']],
  ];
  for (const [name, limits, expected] of cases) {
    it(`shows ${name}, and sends the upstream the same bytes once`, async () => {
      const { client, upstream } = checking(limits);
      client.request({ method: 'POST', body: 5 }).send('ab').send('cde').endBody();
      expect(upstream.exchanges).to.deep.equal([]);
      await settle();
      expect(seen()).to.deep.equal(expected);
      expect(upstream.exchanges).to.have.length(1);
      expect(upstream.last).to.include({ body: 'abcde', ended: true });
    });
  }

  it('resumes with the time at which the server responded', async () => {
    const times: (number | undefined)[] = [];
    let wallMs = 1_000_000;
    const forward = {
      kind: 'forward',
      head: { method: 'GET', target: '/', host: 'a', headers: [], upgrade: '' },
      log: logOf('allow'),
    } as const;
    const chain = httpChain((_request, nowSeconds) => {
      times.push(nowSeconds);
      const check = chainWithChecks([undefined]).evaluate(_request, nowSeconds) as CheckVerdict;
      return { ...check, resume: (_response, later) => (times.push(later), forward) };
    });
    const { client, upstream } = memoryStage({ filterChain: chain, extAuthz, clock: { ...systemClock, wallMs: () => wallMs } });
    client.request();
    wallMs += 90_500;
    await settle();
    expect(upstream.exchanges).to.have.length(1);
    expect(times).to.deep.equal([1000, 1090]);
  });

  it('checks a request without a body immediately', async () => {
    const { client, upstream } = checking([whole(5)]);
    client.request();
    expect(seen()).to.deep.equal(['none']);
    await settle();
    upstream.last.respond(200).finish();
    expect(client.response).to.include({ status: 200 });
  });

  it('checks once the wanted part of the body has arrived, not before', async () => {
    const { client } = checking([partial(3)]);
    client.request({ method: 'POST', body: 9 }).send('ab');
    await settle();
    expect(seen()).to.deep.equal([]);
    client.send('c');
    expect(seen()).to.deep.equal(['abc…']);
  });

  it('sends nothing to the upstream when the server denies', async () => {
    response = checkDenied(413, 'Payload Too Large');
    const { client, upstream, records } = checking([whole(3)]);
    client.request({ method: 'POST', body: 5 }).send('abcde').endBody();
    await settle();
    expect(client.response).to.include({ status: 413, body: 'Payload Too Large', ended: 'reply' });
    expect(upstream.exchanges).to.deep.equal([]);
    expect(records).to.have.length(1);
  });

  it('answers 403 when there is no ext_authz client', async () => {
    const { client, upstream } = memoryStage({ filterChain: chainWithChecks([undefined]) });
    client.request();
    await settle();
    expect(client.response).to.include({ status: 403, body: '', ended: 'reply' });
    expect(upstream.exchanges).to.deep.equal([]);
  });

  it('denies when the ext_authz client throws', async () => {
    const { client, upstream } = memoryStage({
      filterChain: chainWithChecks([undefined]),
      extAuthz: () => Promise.reject(new Error('bug')),
    });
    client.request();
    await settle();
    expect(client.response).to.include({ status: 403, ended: 'reply' });
    expect(upstream.exchanges).to.deep.equal([]);
  });

  it('sends no check for a client that leaves within the body', async () => {
    const { client, records } = checking([whole(9)]);
    client.request({ method: 'POST', body: 5 }).send('ab').disconnect();
    await settle();
    expect(records).to.have.length(1);
    expect(records[0]).to.include({ details: 'downstream_remote_disconnect' });
    expect(bodies).to.deep.equal([]);
  });

  it('aborts the check of a client that leaves, and forwards nothing', async () => {
    let aborted = false;
    const { client, upstream, records } = memoryStage({
      filterChain: chainWithChecks([undefined]),
      extAuthz: async (_check, _body, signal) => {
        signal.addEventListener('abort', () => {
          aborted = true;
        });
        await turn();
        return ALLOW;
      },
    });
    client.request();
    client.disconnect();
    expect(aborted).to.equal(true);
    await settle();
    expect(upstream.exchanges).to.deep.equal([]);
    expect(records).to.have.length(1);
  });
});

describe('exchange: changes that an ext_authz server makes to the response', () => {
  const changes: readonly HeaderChange[] = [
    { how: 'add', name: 'set-cookie', value: 'b=2' },
    { how: 'set', name: 'x-app', value: 'new' },
    { how: 'set', name: 'content-length', value: '99' },
  ];
  const changed = async (): Promise<MemoryStage> => {
    const stage = memoryStage({ filterChain: chainWithChecks([undefined], changes), extAuthz: () => Promise.resolve(ALLOW) });
    stage.client.request({ headers: ['host', 'a', 'upgrade', 'websocket'] });
    for (let turns = 0; turns < 20; turns += 1) await turn();
    return stage;
  };

  it('changes the headers of the response', async () => {
    const { client, upstream } = await changed();
    upstream.last.respond(200, ['content-length', '2', 'set-cookie', 'a=1', 'x-app', 'old', 'date', 'd']);
    expect(client.response.headers).to.deep.equal([
      'content-length',
      '2',
      'set-cookie',
      'a=1',
      'date',
      'd',
      'set-cookie',
      'b=2',
      'x-app',
      'new',
    ]);
  });

  it('changes the headers of the reply when the application fails', async () => {
    const { client, upstream } = await changed();
    upstream.last.fail('connect');
    expect(client.response).to.deep.include({
      status: 503,
      headers: ['content-type', 'text/plain', 'set-cookie', 'b=2', 'x-app', 'new'],
    });
  });

  it('changes the headers of a 101', async () => {
    const { client, upstream } = await changed();
    upstream.last.respond(101);
    expect(client.response.headers).to.deep.equal(['set-cookie', 'b=2', 'x-app', 'new', 'upgrade', 'websocket']);
  });
});
