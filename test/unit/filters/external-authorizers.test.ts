/*
 * Several external authorizers, and everything that one may change of request and response.
 */
import { expect } from 'chai';
import { changeQuery } from '../../../src/filters/change-query.ts';
import { type CheckResponse, checkDenied, checkFailed } from '../../../src/filters/check-response.ts';
import type { Verdict } from '../../../src/filters/verdict.ts';
import { changeHeaders, type HeaderChange, isChangeableRequestHeader } from '../../../src/http/header-changes.ts';
import { allow, authorizer, CONNECTION, custom, deny, expectKind, filterChainOf, paths, raw, verdictOf } from './trials.ts';

const mesh = { extensionProviders: [authorizer('a'), authorizer('b', 'http'), authorizer('c')], multipleCustomProviders: true };
const consent = { kind: 'allow', setHeaders: [], removeHeaders: [] } as const;
const name = (verdict: Verdict): string | undefined => (verdict.kind === 'check' ? verdict.provider.name : verdict.kind);
const add = (header: string, value: string): HeaderChange => ({ how: 'add', name: header, value });

describe('external authorizers', () => {
  it('are asked one after the other in the order of their names, and each must consent', () => {
    const filterChain = filterChainOf([custom('z', 'a', {}), custom('y', 'c', {}), custom('x', 'b', {})], { mesh });
    const first = verdictOf('check', filterChain, raw('/'));
    const second = expectKind('check', first.resume(consent));
    const third = expectKind('check', second.resume(consent));

    expect([first, second, third].map(name)).to.deep.equal(['a', 'b', 'c']);
    expect(name(third.resume(consent))).to.equal('forward');
    expect(expectKind('reply', second.resume(checkDenied(401, ''))).status).to.equal(401);
    expect(expectKind('reply', second.resume(checkFailed(502, 'why'))).log.details).to.equal('why');
  });

  it('see the request as the one before left it, and are asked only if it still matches', () => {
    const when = (value: string): object => ({ when: [{ key: 'request.headers[x-role]', values: [value] }] });
    const filterChain = filterChainOf([custom('z', 'a', {}), custom('y', 'b', when('admin')), custom('x', 'c', when('user'))], { mesh });
    const first = verdictOf('check', filterChain, raw('/', ['x-role', 'admin']));

    expect(name(first.resume(consent))).to.equal('b');
    const next = expectKind('check', first.resume({ ...consent, setHeaders: ['x-role', 'user'] }));
    expect(name(next)).to.equal('c');
    expect(next.request.headers.join()).to.contain('x-role,user');
    expect(name(first.resume({ ...consent, removeHeaders: ['x-role'] }))).to.not.equal('b');
  });

  it('are told scheme, version and connection', () => {
    const filterChain = filterChainOf([custom('z', 'a', {})], { mesh });
    expect(verdictOf('check', filterChain, raw('/'))).to.deep.include({ scheme: 'http', version: '1.1', connection: CONNECTION });
  });

  it('change the response of the application, the last of them first', () => {
    const filterChain = filterChainOf([custom('z', 'a', {}), custom('y', 'b', {})], { mesh });
    const second = expectKind(
      'check',
      verdictOf('check', filterChain, raw('/')).resume({ ...consent, downstreamHeaders: [add('x', '1')] }),
    );
    const verdict = expectKind('forward', second.resume({ ...consent, downstreamHeaders: [add('x', '2')] }));

    expect(verdict.downstreamHeaders).to.deep.equal([add('x', '2'), add('x', '1')]);
    expect(
      expectKind('forward', verdictOf('check', filterChainOf([custom('z', 'a', {})], { mesh }), raw('/')).resume(consent)),
    ).to.not.have.property('downstreamHeaders');
  });

  it('change the reply of a policy that denies after them', () => {
    const filterChain = filterChainOf([custom('z', 'a', {}), deny('d', paths('/d'))], { mesh });
    const answer = { ...consent, downstreamHeaders: [add('set-cookie', 'a=1'), add('content-length', '0')] };
    const verdict = expectKind('reply', verdictOf('check', filterChain, raw('/d')).resume(answer));

    expect(verdict.headers).to.deep.equal(['content-type', 'text/plain', 'set-cookie', 'a=1']);
  });

  it('append to headers that are there, and to no other', () => {
    const filterChain = filterChainOf([custom('z', 'a', {})], { mesh });
    const answer = { ...consent, setHeaders: ['x-b', '1'], appendHeaders: ['x-a', '2', 'x-b', '2', 'x-c', '2', 'host', 'evil'] };
    const { head } = expectKind('forward', verdictOf('check', filterChain, raw('/', ['X-A', '1'])).resume(answer));

    expect(head.headers).to.deep.equal(['x-a', '1,2', 'x-forwarded-proto', 'http', 'x-b', '1,2']);
    expect(head.host).to.equal('app.foo:8000');
  });

  it('cannot touch framing, Host, or pseudo headers', () => {
    const filterChain = filterChainOf([custom('z', 'a', {})], { mesh });
    const setHeaders = [
      'Content-Length',
      '9',
      'transfer-encoding',
      'chunked',
      'Connection',
      'close',
      'upgrade',
      'x',
      'host',
      'evil',
      ':path',
      '/',
      'te',
      'x',
    ];
    const answer = { ...consent, setHeaders, removeHeaders: ['content-length', 'Host'] };
    const { head } = expectKind('forward', verdictOf('check', filterChain, raw('/', ['content-length', '0'])).resume(answer));

    expect(head).to.deep.include({ headers: ['content-length', '0', 'x-forwarded-proto', 'http'], host: 'app.foo:8000', target: '/' });
    expect(isChangeableRequestHeader('')).to.equal(false);
  });

  it('change the query that policies and application see', () => {
    const filterChain = filterChainOf(
      [custom('z', 'a', {}), allow('p', { when: [{ key: 'request.headers[:path]', values: ['/x?a=2'] }] })],
      { mesh },
    );
    const answer = { ...consent, setQuery: ['a', '2'], removeQuery: ['b'] };
    const { head } = expectKind('forward', verdictOf('check', filterChain, raw('/x?b=1&a=1')).resume(answer));

    expect(head.target).to.equal('/x?a=2');
  });

  it('reply with bytes that are no text', () => {
    const bytes = new Uint8Array([0xff]);
    const refusal: CheckResponse = { ...checkDenied(403, '\ufffd', [], 'mine'), bytes };
    const verdict = expectKind('reply', verdictOf('check', filterChainOf([custom('z', 'a', {})], { mesh }), raw('/')).resume(refusal));

    expect(verdict.bytes).to.equal(bytes);
    expect(verdict.log.details).to.equal('mine');
  });
});

describe('changing headers', () => {
  const headers = ['a', '1', 'b', '2', 'a', '3'];
  const cases: readonly (readonly [HeaderChange['how'], string, readonly string[]])[] = [
    ['add', 'a', ['a', '1', 'b', '2', 'a', '3', 'a', 'x']],
    ['set', 'a', ['b', '2', 'a', 'x']],
    ['set', 'c', ['a', '1', 'b', '2', 'a', '3', 'c', 'x']],
    ['add-if-absent', 'a', headers],
    ['add-if-absent', 'c', ['a', '1', 'b', '2', 'a', '3', 'c', 'x']],
    ['set-if-present', 'a', ['b', '2', 'a', 'x']],
    ['set-if-present', 'c', headers],
    ['set', 'transfer-encoding', headers],
    ['add', 'date', headers],
    ['add', ':status', headers],
  ];
  for (const [how, header, expected] of cases) {
    it(`does ${how} of ${header}`, () => {
      expect(changeHeaders(headers, [{ how, name: header, value: 'x' }])).to.deep.equal(expected);
    });
  }
});

describe('changing a query', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[], string])[] = [
    ['/p?b=1&a', [], [], '/p?b=1&a'],
    ['/p', ['a', '1'], [], '/p?a=1'],
    ['/p?b=1&a&b=2', ['c', '3'], [], '/p?a=&b=1&b=2&c=3'],
    ['/p?b=1&a=2&b=3', ['b', '4'], [], '/p?a=2&b=4'],
    ['/p?b=1&a=2', [], ['a'], '/p?b=1'],
    ['/p?a=1', [], ['a'], '/p'],
    ['/p?a=1&&=2', ['a', 'x=y'], ['no'], '/p?=2&a=x=y'],
    ['/p?a=%20+', ['b', ''], [], '/p?a=%20+&b='],
    ['/p?a=1?b', [], ['c'], '/p?a=1?b'],
  ];
  for (const [target, set, remove, expected] of cases) {
    it(`turns ${target} with ${set.join('=')} and without ${remove.join()} into ${expected}`, () => {
      expect(changeQuery(target, { set, remove })).to.equal(expected);
    });
  }
});
