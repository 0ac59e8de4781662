import { expect } from 'chai';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import { allow, authorizer, CONNECTION, custom, deny, filterChainOf, programOf, raw, verdictOf } from './chains.ts';

const SLEEP = 'spiffe://cluster.local/ns/foo/sa/sleep';
const HEADER = 'X-Forwarded-Client-Cert';
const ELEMENT = `By=spiffe://gateway;Hash=ab;Subject="";URI=${SLEEP}`;
const mesh = { trustedProxies: ['10.0.0.0/24'] };
const from = (...values: readonly string[]): object => ({ from: [{ source: { principals: values } }] });
const ALLOW_SLEEP = allow('a', from('cluster.local/ns/foo/sa/sleep'));

describe('a filter chain with trusted proxies', () => {
  it('takes the identity from a trusted proxy and forwards the header', () => {
    const verdict = verdictOf('forward', filterChainOf([ALLOW_SLEEP], { mesh }), raw('/', [HEADER, ELEMENT]));

    expect(verdict.head.headers).to.include(ELEMENT);
  });

  it('joins several headers, of which the last element counts', () => {
    const filterChain = filterChainOf([ALLOW_SLEEP], { mesh });

    verdictOf('forward', filterChain, raw('/', [HEADER, 'URI=spiffe://x', HEADER.toLowerCase(), ELEMENT]));
    verdictOf('reply', filterChain, raw('/', [HEADER, ELEMENT, HEADER, 'URI=spiffe://x']));
  });

  for (const [name, options, request] of [
    ['from a peer that is not trusted', { mesh: { trustedProxies: ['10.0.1.0/24'] } }, raw('/', [HEADER, ELEMENT])],
    ['when no proxy is trusted', {}, raw('/', [HEADER, ELEMENT])],
    ['from a socket without address', { mesh }, raw('/', [HEADER, ELEMENT], { connection: { ...CONNECTION, sourceIp: '' } })],
  ] as const) {
    it(`ignores an identity ${name}, and removes the header`, () => {
      expect(verdictOf('reply', filterChainOf([ALLOW_SLEEP], options), request).status).to.equal(403);
      const passed = verdictOf('forward', filterChainOf([], options), request);
      expect(passed.head.headers).to.not.include(HEADER.toLowerCase());
    });
  }

  it('finds no identity when a trusted proxy sends none', () => {
    const filterChain = filterChainOf([ALLOW_SLEEP], { mesh });

    expect(verdictOf('reply', filterChain, raw('/')).status).to.equal(403);
    expect(verdictOf('reply', filterChain, raw('/', [HEADER, ''])).status).to.equal(403);
  });

  it('refuses a malformed header, because a missing identity would satisfy negative conditions', () => {
    const filterChain = filterChainOf([deny('d', from('cluster.local/ns/foo/sa/sleep'))], { mesh });
    const malformed = raw('/', [HEADER, `${ELEMENT};`]);

    expect(verdictOf('reply', filterChain, raw('/', [HEADER, ELEMENT])).status).to.equal(403);
    const verdict = verdictOf('reply', filterChain, malformed);
    expect(verdict).to.deep.include({ status: 400, body: '', close: true });
    expect(verdict.log).to.deep.include({ outcome: 'reject', details: 'forwarded_client_cert_invalid' });
    const explained = explainRequest({ program: programOf([deny('d', {})], mesh), keySets: {} }, malformed, 0);
    expect(explained.verdict).to.deep.include({ outcome: 'reject', details: 'forwarded_client_cert_invalid' });
    expect(explained.rules).to.deep.equal([]);
  });

  it('refuses a malformed header in the form of gRPC, but for CONNECT', () => {
    const call = (method: string) => raw('a:80', [HEADER, `${ELEMENT};`, 'Content-Type', 'application/grpc'], { method });
    const filterChain = filterChainOf([], { mesh });

    expect(verdictOf('reply', filterChain, call('POST'))).to.include({ status: 200 });
    expect(verdictOf('reply', filterChain, call('CONNECT'))).to.include({ status: 400 });
  });

  it('prefers the certificate of the connection to the header', () => {
    const connection = { ...CONNECTION, tls: true, peer: { uris: ['spiffe://x'], dnsNames: [], subject: '' } };

    expect(verdictOf('reply', filterChainOf([ALLOW_SLEEP], { mesh }), raw('/', [HEADER, ELEMENT], { connection })).status).to.equal(403);
  });

  it('puts the identity into the check', () => {
    const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh: { ...mesh, extensionProviders: [authorizer('ext')] } });

    expect(verdictOf('check', filterChain, raw('/', [HEADER, ELEMENT])).connection.peer?.uris).to.deep.equal([SLEEP]);
  });

  it('explains with the identity that the filter chain used', () => {
    const enforced = { program: programOf([ALLOW_SLEEP], mesh), keySets: {} };
    const { verdict, rules } = explainRequest(enforced, raw('/', [HEADER, ELEMENT]), 0);

    expect(verdict.outcome).to.equal('allow');
    expect(rules[0]?.matched).to.equal(true);
  });
});
