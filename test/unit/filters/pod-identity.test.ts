/*
 * The filter chain with identities by the addresses of pods: when it looks for one, and what policies and logs see of it.
 */
import { expect } from 'chai';
import { hasPeerConditions } from '../../../src/filters/peer-conditions.ts';
import type { ConnectionFacts, PeerIdentity } from '../../../src/policy/facts.ts';
import { allow, CONNECTION, deny, filterChainOf, paths, programOf, raw } from './chains.ts';

const identity = (account: string): PeerIdentity => ({ uris: [`spiffe://cluster.local/ns/shop/sa/${account}`], dnsNames: [], subject: '' });
const from = (source: object): object => ({ from: [{ source }] });
const MESH = { peerIdentity: { podIP: true }, trustedProxies: ['10.0.0.7'] };
const PODS: ReadonlyMap<string, PeerIdentity> = new Map([
  ['10.0.0.1', identity('friend')],
  ['10.0.0.2', identity('other')],
  ['10.0.0.7', identity('proxy')],
]);
const podIdentity = ({ sourceIp }: ConnectionFacts): PeerIdentity | undefined => PODS.get(sourceIp);
const chain = (...policies: readonly object[]): ReturnType<typeof filterChainOf> => filterChainOf(policies, { mesh: MESH, podIdentity });
const decide = (
  policies: readonly object[],
  sourceIp: string,
  { peer, headers = [] }: { readonly peer?: PeerIdentity; readonly headers?: readonly string[] } = {},
): string => {
  const connection = { ...CONNECTION, sourceIp, ...(peer === undefined ? {} : { peer }) };
  const { log } = chain(...policies).evaluate(raw('/', headers, { connection }), 0);
  return `${log.outcome} ${log.peer?.grade} ${log.peer?.uri.split('/').at(-1) ?? ''}`.trim();
};

describe('identities by the addresses of pods', () => {
  const friends = [allow('friends', from({ serviceAccounts: ['shop/friend'] }))];

  it('decide where there is no certificate, and say so', () => {
    expect(decide(friends, '10.0.0.1')).to.equal('allow pod-ip friend');
    expect(decide(friends, '10.0.0.2')).to.equal('deny pod-ip other');
    expect(decide(friends, '10.0.0.3')).to.equal('deny none');
  });

  it('give way to a certificate, and to what a trusted proxy says', () => {
    expect(decide(friends, '10.0.0.1', { peer: identity('other') })).to.equal('deny mtls other');
    const headers = ['X-Forwarded-Client-Cert', 'URI=spiffe://cluster.local/ns/shop/sa/friend'];
    expect(decide(friends, '10.0.0.7', { headers })).to.equal('allow xfcc friend');
  });

  it('do not take the address of a trusted proxy, nor one of a header, for the client', () => {
    const proxies = [allow('proxies', from({ serviceAccounts: ['shop/proxy'] }))];
    expect(decide(proxies, '10.0.0.7')).to.equal('deny none');
    expect(decide(friends, '10.0.0.3', { headers: ['X-Forwarded-For', '10.0.0.1'] })).to.equal('deny none');
    expect(decide(friends, '10.0.0.3', { headers: ['X-Forwarded-Client-Cert', 'URI=spiffe://cluster.local/ns/shop/sa/friend'] })).to.equal(
      'deny none',
    );
  });

  it('deny what a DENY policy may mean', () => {
    const policies = [deny('others', from({ principals: ['cluster.local/ns/shop/sa/other'] }))];
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((sourceIp) => decide(policies, sourceIp))).to.deep.equal([
      'allow pod-ip friend',
      'deny pod-ip other',
      'deny none',
    ]);
  });

  it('identify TCP connections', () => {
    const filterChain = chain(...friends);
    const found = ['10.0.0.1', '10.0.0.3'].map((sourceIp) => {
      const identified = filterChain.identify({ ...CONNECTION, sourceIp });
      return `${filterChain.evaluateConnection(identified).kind} ${identified.peerGrade}`;
    });
    expect(found).to.deep.equal(['allow pod-ip', 'deny none']);
  });

  it('are needed by programs with a condition on the peer only', () => {
    expect(hasPeerConditions(programOf([allow('a', paths('/a'))]))).to.equal(false);
    expect(hasPeerConditions(programOf(friends))).to.equal(true);
    expect(hasPeerConditions(programOf([deny('d', { when: [{ key: 'source.namespace', notValues: ['a'] }] })]))).to.equal(true);
  });
});
