import { expect } from 'chai';
import fc from 'fast-check';
import { parseClientCertHeader } from '../../../../src/http/normalize/client-cert-header.ts';

const SLEEP = 'spiffe://cluster.local/ns/foo/sa/sleep';

describe('parseClientCertHeader', () => {
  for (const [name, text, expected] of [
    ['the fields of one element', `By=spiffe://a;Hash=ab;Subject="CN=x";URI=${SLEEP};DNS=a.b`, [[SLEEP], ['a.b'], 'CN=x']],
    ['names in any case with whitespace around them', `by=a; Uri=${SLEEP} ; uRI=spiffe://b`, [[SLEEP, 'spiffe://b'], [], '']],
    ['the last element, which the proxy itself wrote', `URI=spiffe://forged,Hash=1;URI=${SLEEP}`, [[SLEEP], [], '']],
    [
      'separators inside quotes as part of the value',
      `Subject="O=a\\"b,c;URI=spiffe://no";URI=${SLEEP}`,
      [[SLEEP], [], 'O=a"b,c;URI=spiffe://no'],
    ],
    ['a forged element inside a quoted one', `URI=spiffe://b,Subject=",URI=${SLEEP}"`, [[], [], `,URI=${SLEEP}`]],
    ['spaces after a quoted value', `Subject="CN=x"  ;URI=${SLEEP}`, [[SLEEP], [], 'CN=x']],
    ['a certificate without names', 'Hash=ab;URI=;DNS=', [[], [], '']],
    ['chains, which say nothing of the peer', 'Cert="a";Chain="b";URI=u', [['u'], [], '']],
  ] as const) {
    it(`reads ${name}`, () => {
      const [uris, dnsNames, subject] = expected;
      expect(parseClientCertHeader(text)).to.deep.equal({ uris, dnsNames, subject });
    });
  }

  for (const text of ['', 'URI', 'URI=a;', 'URI=a,', ',URI=a', 'URI="a', 'URI="a"b', 'URI="a\\"', '=a', 'U RI=a', 'a=b;;c=d']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(parseClientCertHeader(text)).to.equal(undefined);
    });
  }

  it('takes an identity from no element but the last, whatever precedes it', () => {
    fc.assert(
      fc.property(fc.string(), (before) => {
        const parsed = parseClientCertHeader(`${before},URI=${SLEEP}`);
        expect(parsed === undefined || parsed.uris.length === 0 || parsed.uris.join() === SLEEP).to.equal(true);
      }),
    );
  });
});
