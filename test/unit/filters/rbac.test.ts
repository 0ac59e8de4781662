import { expect } from 'chai';
import type { NearMiss, NearMisses } from '../../../src/policy/decide/decision.ts';
import type { RequestFacts } from '../../../src/policy/facts.ts';
import { allow, authorizer, CONNECTION, custom, deny, expectKind, filterChainOf, paths, raw, verdictOf } from './chains.ts';

const MISS = { why: 'the test says so' } as unknown as NearMiss;

describe('the rbac filter', () => {
  it('looks for a near miss only when no ALLOW rule matched', () => {
    const asked: string[] = [];
    const nameMiss = (_: NearMisses, { path }: RequestFacts): NearMiss => {
      asked.push(path);
      return MISS;
    };
    const filterChain = filterChainOf([deny('d', paths('/d')), allow('a', paths('/a', '/d'))], { nameMiss });

    expect(verdictOf('reply', filterChain, raw('/x')).log).to.include({ nearMiss: MISS });
    expect(verdictOf('reply', filterChain, raw('/d')).log).not.to.have.property('nearMiss');
    expect(verdictOf('forward', filterChain, raw('/a')).log).not.to.have.property('nearMiss');
    expect(asked).to.deep.equal(['/x']);
  });

  it('logs no near miss when none is found', () => {
    const filterChain = filterChainOf([allow('a', paths('/a'))], { nameMiss: () => undefined });

    expect(verdictOf('reply', filterChain, raw('/x')).log).not.to.have.property('nearMiss');
  });

  it('logs who asked for what, and the decision', () => {
    const peer = { uris: ['spiffe://cluster.local/ns/foo/sa/me'], dns: [], subject: '' };
    const connection = { ...CONNECTION, peer } as unknown as typeof CONNECTION;
    const { log } = verdictOf(
      'forward',
      filterChainOf([allow('a', {})]),
      raw('/a?b', ['Content-Type', 'application/grpc'], { connection }),
    );

    expect(log).to.deep.include({
      outcome: 'allow',
      details: '',
      host: 'app.foo:8000',
      path: '/a',
      principal: '',
      remoteIp: CONNECTION.sourceIp,
      peer: { uri: peer.uris[0], grade: 'mtls' },
      isGrpc: true,
    });
    expect(log).not.to.have.property('jwtRule');
    expect(log.decision?.rule?.source.name).to.equal('a');
    expect(verdictOf('forward', filterChainOf([allow('a', {})]), raw('/')).log).to.include({ isGrpc: false, peer: undefined });
  });

  it('forwards no header of the router that an ext_authz server sets, after policies saw it', () => {
    const seen = allow('a', { when: [{ key: 'request.headers[x-envoy-retry-on]', values: ['5xx'] }] });
    const filterChain = filterChainOf([custom('c', 'ext', {}), seen], { mesh: { extensionProviders: [authorizer('ext')] } });
    const check = verdictOf('check', filterChain, raw('/'));
    const setHeaders = ['x-envoy-retry-on', '5xx', 'x-kept', '1'];
    const { head } = expectKind('forward', check.resume({ kind: 'allow', setHeaders, removeHeaders: [] }));

    expect(head.headers).to.include('x-kept').and.not.include('x-envoy-retry-on');
  });

  it('logs an empty host when the policies see none', () => {
    expect(verdictOf('reply', filterChainOf([deny('d', {})]), raw('/', [], { headers: ['Host', ''] })).log.host).to.equal('');
  });
});
