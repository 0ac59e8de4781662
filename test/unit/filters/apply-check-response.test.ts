import { expect } from 'chai';
import { type CheckResponse, checkDenied } from '../../../src/filters/check-response.ts';
import { type HeaderChange, isChangeableRequestHeader } from '../../../src/http/header-changes.ts';
import { allow, authorizer, custom, deny, expectKind, filterChainOf, paths, raw, verdictOf } from './chains.ts';

const mesh = { extensionProviders: [authorizer('a'), authorizer('b', 'http'), authorizer('c')], multipleCustomProviders: true };
const consent = { kind: 'allow', setHeaders: [], removeHeaders: [] } as const;
const add = (header: string, value: string): HeaderChange => ({ how: 'add', name: header, value });

describe('applying a CheckResponse', () => {
  it('changes the response of the upstream, with the changes of the last provider first', () => {
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

  it('changes the reply when a policy denies the request afterwards', () => {
    const filterChain = filterChainOf([custom('z', 'a', {}), deny('d', paths('/d'))], { mesh });
    const response = { ...consent, downstreamHeaders: [add('set-cookie', 'a=1'), add('content-length', '0')] };
    const verdict = expectKind('reply', verdictOf('check', filterChain, raw('/d')).resume(response));

    expect(verdict.headers).to.deep.equal(['content-type', 'text/plain', 'set-cookie', 'a=1']);
    const one = { ...consent, downstreamHeaders: [add('set-cookie', 'b=2')] };
    const other = expectKind('reply', verdictOf('check', filterChain, raw('/d')).resume(one));
    expect(other.headers).to.deep.equal(['content-type', 'text/plain', 'set-cookie', 'b=2']);
  });

  it('appends to present headers only', () => {
    const filterChain = filterChainOf([custom('z', 'a', {})], { mesh });
    const response = { ...consent, setHeaders: ['x-b', '1'], appendHeaders: ['x-a', '2', 'x-b', '2', 'x-c', '2', 'host', 'evil'] };
    const { head } = expectKind('forward', verdictOf('check', filterChain, raw('/', ['X-A', '1'])).resume(response));

    expect(head.headers).to.deep.equal(['x-a', '1,2', 'x-forwarded-proto', 'http', 'x-b', '1,2']);
    expect(head.host).to.equal('app.foo:8000');
  });

  it('changes neither framing nor Host nor pseudo headers', () => {
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
    const response = { ...consent, setHeaders, removeHeaders: ['content-length', 'Host'] };
    const { head } = expectKind('forward', verdictOf('check', filterChain, raw('/', ['content-length', '0'])).resume(response));

    expect(head).to.deep.include({ headers: ['content-length', '0', 'x-forwarded-proto', 'http'], host: 'app.foo:8000', target: '/' });
    expect(isChangeableRequestHeader('')).to.equal(false);
  });

  it('changes the query that policies and upstream see', () => {
    const filterChain = filterChainOf(
      [custom('z', 'a', {}), allow('p', { when: [{ key: 'request.headers[:path]', values: ['/x?a=2'] }] })],
      { mesh },
    );
    const response = { ...consent, setQuery: ['a', '2'], removeQuery: ['b'] };
    const { head } = expectKind('forward', verdictOf('check', filterChain, raw('/x?b=1&a=1')).resume(response));

    expect(head.target).to.equal('/x?a=2');
    const open = filterChainOf([custom('z', 'a', {})], { mesh });
    const changed = (over: object): string =>
      expectKind('forward', verdictOf('check', open, raw('/x?b=1&a=1')).resume({ ...consent, ...over })).head.target;
    expect(changed({ removeQuery: ['b'] })).to.equal('/x?a=1');
    expect(changed({ setQuery: ['c', '3'] })).to.equal('/x?a=1&b=1&c=3');
    expect(changed({ setQuery: ['c', '3', 'b', '4', 'd', ''] })).to.match(/^\/x\?a=1&b=4&c=3&d/);
  });

  it('escapes what the server writes into the query, and forwards no control byte', () => {
    const filterChain = filterChainOf([custom('z', 'a', {})], { mesh });
    const answered = (setQuery: readonly string[]) => verdictOf('check', filterChain, raw('/x')).resume({ ...consent, setQuery });

    expect(expectKind('forward', answered(['a', 'b c'])).head.target).to.equal('/x?a=b%20c');
    expect(expectKind('reply', answered(['a', 'b HTTP/1.1\r\nx-evil: 1']))).to.include({
      status: 503,
      body: 'invalid header value for: :path',
    });
  });

  it('leaves the query as the client sent it when the server does not change it', () => {
    const filterChain = filterChainOf([custom('z', 'a', {})], { mesh });
    const { head } = expectKind('forward', verdictOf('check', filterChain, raw('/x?"a"')).resume(consent));

    expect(head.target).to.equal('/x?"a"');
  });

  it('replies with bytes that are not UTF-8', () => {
    const bytes = new Uint8Array([0xff]);
    const denied: CheckResponse = { ...checkDenied(403, '\ufffd', [], 'mine'), bytes };
    const verdict = expectKind('reply', verdictOf('check', filterChainOf([custom('z', 'a', {})], { mesh }), raw('/')).resume(denied));

    expect(verdict.bytes).to.equal(bytes);
    expect(verdict.log.details).to.equal('mine');
  });
});
