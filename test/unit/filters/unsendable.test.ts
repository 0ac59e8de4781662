import { expect } from 'chai';
import { createRouterHeaderRemoval, createSendTest, type SendTest } from '../../../src/filters/unsendable.ts';
import { PreparedRequest } from '../../../src/http/normalize/prepared-request.ts';
import type { PseudoHeader } from '../../../src/policy/pseudo-headers.ts';
import { provider } from '../jwt/tokens.ts';
import { authorizer, custom, programOf } from './chains.ts';

const writes = (...headers: readonly string[]): SendTest =>
  createSendTest([provider({ claimHeaders: headers.map((header) => ({ header, claim: 'c' })) })]);

function request(...headers: readonly string[]): PreparedRequest {
  return Object.assign(new PreparedRequest('GET', [...headers]), { target: '/', host: 'app', scheme: 'http' });
}

describe('the check of a request before it is forwarded', () => {
  for (const value of ['', 'a\tb', ' a', 'm\u00c3\u00a9', '\x80']) {
    it(`accepts the value ${JSON.stringify(value)} of an output header`, () => {
      expect(writes('x-a')(request('x-a', value))).to.equal(undefined);
    });
  }

  for (const value of ['\0', 'a\x08b', 'a\n', 'a\r\nevil: 1', '\x0b', 'a\x1f', '\x7f']) {
    it(`refuses the value ${JSON.stringify(value)} of an output header`, () => {
      expect(writes('x-a')(request('x-b', 'b', 'x-a', value))).to.equal('invalid header value for: x-a');
    });
  }

  for (const name of ['x y', 'x:y', 'é', ':path', 'host', 'content-length', 'transfer-encoding', 'connection']) {
    it(`refuses the name ${name} of an output header`, () => {
      const payload = createSendTest([provider({ payloadHeader: name })]);
      expect(payload(request(name, 'a'))).to.equal(`invalid header name: ${name}`);
      expect(payload(request('x-a', 'a'))).to.equal(undefined);
    });
  }

  it('escapes special characters of a name', () => {
    const payload = createSendTest([provider({ payloadHeader: 'a\tb"\\\u0001' })]);
    expect(payload(request('a\tb"\\\u0001', 'a'))).to.equal('invalid header name: a\\tb\\"\\\\\\u0001');
  });

  it('reports the first header that cannot be sent', () => {
    expect(writes('x-a', 'x-b')(request('x-b', '\n', 'x-a', '\n'))).to.equal('invalid header value for: x-b');
  });

  it('accepts every header when no rule sets any', () => {
    expect(createSendTest([provider()])(request('', '\n', 'x-a', '\n'))).to.equal(undefined);
  });

  for (const [removed, fault] of [
    [[':method'], 'missing required header: :method'],
    [[':path', ':method'], 'missing required header: :method'],
    [[':path'], 'missing required header: :path'],
    [[':authority'], 'missing required header: :authority'],
    [['host'], 'missing required header: :authority'],
    [[':scheme'], undefined],
  ] as const satisfies readonly (readonly [readonly PseudoHeader[], string | undefined])[]) {
    it(`reports ${fault ?? 'nothing'} when ${removed.join(' and ')} were removed`, () => {
      const prepared = request();
      for (const name of removed) prepared.removePseudoHeader(name);
      expect(createSendTest([provider()])(prepared)).to.equal(fault);
    });
  }

  it('reports a pseudo header that a token set by its name', () => {
    const prepared = request(':method', 'abc');
    prepared.removePseudoHeader(':method');
    expect(createSendTest([provider({ payloadHeader: ':method' })])(prepared)).to.equal('invalid header name: :method');
  });

  for (const character of ['\0', '\n', '\r', '\x01', '\x1f', '\x7f']) {
    it(`refuses ${JSON.stringify(character)} in a query that was rewritten`, () => {
      const prepared = Object.assign(request(), { target: `/?a=${character}`, isRewritten: true });
      expect(createSendTest([])(prepared)).to.equal('invalid header value for: :path');
    });
  }

  for (const character of ['\t', ' ', '#', '\x80', '"']) {
    it(`accepts ${JSON.stringify(character)} in a query that was rewritten, because it is escaped`, () => {
      const prepared = Object.assign(request(), { target: `/?a=${character}`, isRewritten: true });
      expect(createSendTest([])(prepared)).to.equal(undefined);
    });
  }
});

describe('the removal of headers that only the router of Envoy reads', () => {
  const program = (headers: readonly string[], isCustom = false): Parameters<typeof createRouterHeaderRemoval>[0] => {
    const { http } = programOf(isCustom ? [custom('c', 'authz', {})] : [], { extensionProviders: [authorizer('authz')] });
    return { providers: [provider({ claimHeaders: headers.map((header) => ({ header, claim: 'c' })) })], http };
  };

  it('removes those that a token sets, and keeps every other header', () => {
    const prepared = request('x-envoy-retry-on', 'a', 'x-a', '1', 'x-envoy-upstream-rq-timeout-ms', '5', 'x-envoy-internal', 'b');
    createRouterHeaderRemoval(program(['X-Envoy-Retry-On', 'x-envoy-upstream-rq-timeout-ms', 'x-envoy-internal']))?.(prepared);

    expect(prepared.headers).to.deep.equal(['x-a', '1', 'x-envoy-internal', 'b']);
  });

  it('removes all of them when an ext_authz server may set any', () => {
    const prepared = request('x-envoy-max-retries', '9', 'x-a', '1');
    createRouterHeaderRemoval(program([], true))?.(prepared);

    expect(prepared.headers).to.deep.equal(['x-a', '1']);
  });

  it('is absent when no filter can set one', () => {
    expect(createRouterHeaderRemoval(program(['x-a']))).to.equal(undefined);
  });
});
