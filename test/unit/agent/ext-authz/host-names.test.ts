/*
 * Lookups of host names of ext_authz servers, alone and by checks over HTTP.
 */
import type { LookupAddress } from 'node:dns';
import { expect } from 'chai';
import { createExtAuthzClient } from '../../../../src/agent/ext-authz/client.ts';
import { HostNames } from '../../../../src/agent/ext-authz/host-names.ts';
import { systemClock } from '../../../../src/clock.ts';
import { checkFailed } from '../../../../src/filters/check-response.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { checkOf, type HttpFake, providerOf, startHttpFake } from './checks.ts';

const LOOPBACK: readonly LookupAddress[] = [{ address: '127.0.0.1', family: 4 }];
const never = new AbortController().signal;

describe('host names of ext_authz servers', () => {
  it('are looked up once at a time, and again after that', async () => {
    const looked: string[] = [];
    const names = new HostNames(async (host) => {
      looked.push(host);
      await Promise.resolve();
      return LOOPBACK;
    });
    const both = [names.addressesOf('a'), names.addressesOf('a'), names.addressesOf('b')];
    expect(await Promise.all(both)).to.deep.equal([LOOPBACK, LOOPBACK, LOOPBACK]);
    expect(looked).to.deep.equal(['a', 'b']);
    await names.addressesOf('a');
    expect(looked).to.deep.equal(['a', 'b', 'a']);
  });

  it('fail for everyone who waits, and are looked up again', async () => {
    let failures = 0;
    const names = new HostNames(() => {
      failures += 1;
      return Promise.reject(new Error('no answer'));
    });
    const results = await Promise.allSettled([names.addressesOf('a'), names.addressesOf('a')]);
    expect(results.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    await names.addressesOf('a').catch(() => undefined);
    expect(failures).to.equal(2);
  });
});

describe('HTTP checks while names are looked up', () => {
  let fake: HttpFake;
  let stop: AbortController;
  before(async () => {
    fake = await startHttpFake((response) => void response.writeHead(200).end());
  });
  beforeEach(() => {
    stop = new AbortController();
  });
  afterEach(() => stop.abort());
  after(() => fake.close());

  const clientWith = (lookUp: (host: string) => Promise<readonly LookupAddress[]>): ReturnType<typeof createExtAuthzClient> =>
    createExtAuthzClient({
      logger: createLogger({ level: 'silent', component: 'test' }),
      clock: systemClock,
      signal: stop.signal,
      lookUp,
    });

  it('reach the server that the lookup finds', async () => {
    const client = clientWith(() => Promise.resolve(LOOPBACK));
    const response = await client(checkOf(providerOf(fake.port, { service: 'authz.foo' })), undefined, never);
    expect(response.kind).to.equal('allow');
  });

  it('share a lookup that does not end, and take it for an outage in time', async () => {
    let lookups = 0;
    const client = clientWith(() => {
      lookups += 1;
      return new Promise(() => undefined);
    });
    const ask = (failOpen: boolean): ReturnType<typeof client> =>
      client(checkOf(providerOf(fake.port, { service: 'authz.foo', timeoutMs: 20, failOpen })), undefined, never);
    const responses = await Promise.all([ask(true), ask(false), ask(true)]);
    expect(responses.map(({ kind }) => kind)).to.deep.equal(['allow', 'reply', 'allow']);
    expect(responses[1]).to.deep.equal(checkFailed(403));
    expect(lookups).to.equal(1);
  });

  it('never fail open for a name that does not exist', async () => {
    const client = clientWith(() => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })));
    const response = await client(checkOf(providerOf(fake.port, { service: 'authz.foo', failOpen: true })), undefined, never);
    expect(response).to.deep.equal(checkFailed(403));
  });
});
