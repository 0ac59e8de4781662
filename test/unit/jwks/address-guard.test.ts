import { expect } from 'chai';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { hostOf } from '../../../src/jwks/url-parts.ts';

describe('address guard', () => {
  const guard = createAddressGuards({ blockedCidrs: ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'] })('foo');

  const blocked: readonly (readonly [address: string, reason: string])[] = [
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['::1%lo', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['169.254.169.254', 'link-local'],
    ['169.254.170.2', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['fe80::a9fe:a9fe', 'link-local'],
    ['224.0.0.1', 'multicast'],
    ['ff02::1', 'multicast'],
    ['255.255.255.255', 'reserved'],
    ['240.0.0.1', 'reserved'],
    ['168.63.129.16', 'metadata service'],
    ['100.100.100.200', 'metadata service'],
    ['192.0.0.192', 'metadata service'],
    ['fd00:ec2::254', 'metadata service'],
    ['fd00:ec2::23', 'metadata service'],
    ['fd20:ce::254', 'metadata service'],
    ['fd00:c1::a9fe:a9fe', 'metadata service'],
    ['fd00:42::42', 'metadata service'],
    ['fd00:a9fe:a9fe::1', 'metadata service'],
    ['fd00:100::100:200', 'metadata service'],
    ['64:ff9b:1::1', 'NAT64 of the local network'],
    ['64:ff9b:1:ffff::808:808', 'NAT64 of the local network'],
    ['2001:0:808:808::1', 'Teredo'],
    ['10.1.2.3', 'in blocked range 10.0.0.0/8'],
    ['::ffff:10.1.2.3', 'in blocked range 10.0.0.0/8'],
    ['192.0.2.7', 'in blocked range 192.0.2.7'],
    ['2001:db8::1', 'in blocked range 2001:db8::/32'],
    ['', 'not an IP address'],
    ['idp.example', 'not an IP address'],
  ];
  for (const [address, reason] of blocked) {
    it(`forbids ${address === '' ? 'an empty string' : address}`, () => {
      expect(guard.refusalOf(address)).to.equal(reason);
      expect(guard.isInternal(address)).to.equal(true);
    });
  }

  for (const [dotted, hex, reason] of [
    ['127.0.0.1', '7f00:1', 'loopback'],
    ['0.0.0.0', '0:0', 'unspecified'],
    ['169.254.169.254', 'a9fe:a9fe', 'link-local'],
    ['168.63.129.16', 'a83f:8110', 'metadata service'],
    ['100.100.100.200', '6464:64c8', 'metadata service'],
    ['10.1.2.3', 'a01:203', 'in blocked range 10.0.0.0/8'],
  ] as const) {
    for (const embedding of [
      `::ffff:${dotted}`,
      `::ffff:${hex}`,
      `0:0:0:0:0:FFFF:${hex.toUpperCase()}`,
      `::ffff:0:${hex}`,
      `64:ff9b::${hex}`,
      `2002:${hex}::1`,
      `2606:4700::5efe:${hex}`,
      `2606:4700::200:5efe:${hex}`,
      ...(hex === '0:0' ? [] : [`::${hex}`]),
    ]) {
      it(`forbids ${dotted} embedded in ${embedding}`, () => {
        expect(guard.refusalOf(embedding)).to.equal(reason);
      });
    }
  }

  for (const spelling of [
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '017700000001',
    '127.1',
    '127.0.0.1.',
    '%31%32%37.0.0.1',
    '１２７.０.０.１',
    '127。0。0。1',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:7f00:1]',
  ]) {
    it(`forbids loopback spelled ${spelling}`, () => {
      expect(guard.refusalOf(hostOf(new URL(`http://${spelling}/`)))).to.equal('loopback');
    });
  }

  for (const spelling of ['[fe80::1%25eth0]', '[fe80::1%eth0]', '256.1.1.1', '0x100000000', '1.2.3.4.5']) {
    it(`has nothing to allow in ${spelling}, which is not a URL`, () => {
      expect(() => hostOf(new URL(`http://${spelling}/`))).to.throw();
    });
  }

  for (const address of [
    '8.8.8.8',
    '192.0.1.1',
    '168.63.129.17',
    '2606:4700::1111',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
  ]) {
    it(`allows ${address} and calls it public`, () => {
      expect(guard.refusalOf(address)).to.equal(undefined);
      expect(guard.isInternal(address)).to.equal(false);
    });
  }

  for (const address of [
    '172.20.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '100.100.100.201',
    '198.18.0.1',
    'fd00::1',
    'fd00:ec3::1',
    'fec0::1',
    '4000::1',
    '::ffff:192.168.1.1',
    '64:ff9b::c0a8:101',
  ]) {
    it(`allows ${address} and calls it internal`, () => {
      expect(guard.refusalOf(address)).to.equal(undefined);
      expect(guard.isInternal(address)).to.equal(true);
    });
  }

  for (const range of ['10.0.0.0/33', 'nonsense', '10.0.0.0/x', '']) {
    it(`rejects "${range}" as a range`, () => {
      for (const settings of [
        { blockedCidrs: [range] },
        { blockedCidrs: [], internalCidrs: [range] },
        { blockedCidrs: [], internalSources: [{ cidrs: [range] }] },
      ]) {
        expect(() => createAddressGuards(settings))
          .to.throw(`"${range}" is not a CIDR block or IP address`)
          .with.property('code', 'SP_CONFIG');
      }
    });
  }
});

describe('address guard, by namespace', () => {
  const guards = createAddressGuards({
    blockedCidrs: ['10.0.0.9'],
    internalCidrs: ['198.51.0.0/16'],
    internalSources: [{ cidrs: ['10.0.0.0/24'], namespaces: ['idp', 'foo'] }, { cidrs: ['198.51.7.0/24', 'fd00::/64'] }],
  });
  const REFUSAL = 'inside the cluster and not in jwks.internalSources for this namespace';

  it('allows internal addresses to the namespaces that are named', () => {
    expect(guards('foo').refusalOf('10.0.0.1')).to.equal(undefined);
    expect(guards('foo').refusalOf('::ffff:10.0.0.1')).to.equal(undefined);
    expect(guards('bar').refusalOf('10.0.0.1')).to.equal(REFUSAL);
    expect(guards('bar').refusalOf('64:ff9b::a00:1')).to.equal(REFUSAL);
    expect(guards('foo').refusalOf('10.0.1.1')).to.equal(REFUSAL);
  });

  it('allows addresses without namespaces to all, and public ones to everybody', () => {
    for (const namespace of ['foo', 'bar']) {
      expect(guards(namespace).refusalOf('198.51.7.1')).to.equal(undefined);
      expect(guards(namespace).refusalOf('fd00::5')).to.equal(undefined);
      expect(guards(namespace).refusalOf('198.51.8.1')).to.equal(REFUSAL);
      expect(guards(namespace).refusalOf('8.8.8.8')).to.equal(undefined);
    }
  });

  it('forbids what is blocked, also where an internal source names it', () => {
    const everything = createAddressGuards({ blockedCidrs: ['10.0.0.9'], internalSources: [{ cidrs: ['0.0.0.0/0', '::/0'] }] })('foo');
    expect(everything.refusalOf('10.0.0.8')).to.equal(undefined);
    expect(everything.refusalOf('10.0.0.9')).to.equal('in blocked range 10.0.0.9');
    expect(everything.refusalOf('127.0.0.1')).to.equal('loopback');
    expect(everything.refusalOf('169.254.169.254')).to.equal('link-local');
  });

  it('forbids every internal address when there are no internal sources', () => {
    const none = createAddressGuards({ blockedCidrs: [], internalSources: [] })('foo');
    expect(none.refusalOf('192.168.1.1')).to.equal(REFUSAL);
    expect(none.refusalOf('8.8.8.8')).to.equal(undefined);
  });

  it('has the same scope for namespaces with the same rights only', () => {
    expect(guards('idp').scope).to.equal(guards('foo').scope);
    expect(guards('bar').scope).not.to.equal(guards('foo').scope);
  });
});

describe('address guard of `sallyport run`', () => {
  const guard = createAddressGuards({ blockedCidrs: ['10.0.0.0/8'], isLocal: true })('foo');

  it('allows loopback and keeps nothing from the user', () => {
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '192.168.1.1']) {
      expect(guard.refusalOf(address), address).to.equal(undefined);
      expect(guard.isInternal(address), address).to.equal(false);
    }
  });

  it('forbids metadata addresses and blocked ranges', () => {
    for (const address of ['169.254.169.254', 'fd00:ec2::254', '168.63.129.16', '0.0.0.0', '10.0.0.1']) {
      expect(guard.refusalOf(address), address).to.be.a('string');
    }
  });
});
