/* The iptables rules of the redirect, and their arguments. */
import { expect } from 'chai';
import { RefusedError } from '../../../../src/errors.ts';
import { hasIpv6, parseRedirect, redirectRules } from '../../../../src/inject/redirect/rules.ts';

describe('redirect', () => {
  it('redirects each captured port to its agent port, other ports to the blocked port, and never loopback', () => {
    const redirect = parseRedirect(['--map', '8080:15101', '--map', '90:15102', '--exclude', '15020', '--blocked', '15099']);

    expect(redirectRules(redirect).split('\n')).to.deep.equal([
      '*nat',
      ':SALLYPORT_INBOUND - [0:0]',
      '-A SALLYPORT_INBOUND -i lo -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp --dport 15020 -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp --dport 8080 -j REDIRECT --to-ports 15101',
      '-A SALLYPORT_INBOUND -p tcp --dport 90 -j REDIRECT --to-ports 15102',
      '-A SALLYPORT_INBOUND -p tcp -j REDIRECT --to-ports 15099',
      'COMMIT',
      '',
    ]);
  });

  const invalid: readonly (readonly string[])[] = [
    [],
    ['--map', '8080:15101'],
    ['--blocked', '0'],
    ['--blocked', '65536'],
    ['--blocked', '1', '--map', '80'],
    ['--blocked', '1', '--map', '80:1:2'],
    ['--blocked', '1', '--exclude', '1; reboot'],
    ['--blocked', '1', '--ipv6', 'off'],
    ['--blocked', '1', '--unknown'],
    ['--blocked', '1', 'word'],
  ];
  for (const args of invalid) {
    it(`rejects ${JSON.stringify(args.join(' '))}`, () => {
      expect(() => parseRedirect(args)).to.throw(RefusedError);
    });
  }

  const tables: readonly (readonly [string, string, boolean])[] = [
    ['no IPv6 at all', '', false],
    ['loopback only', '00000000000000000000000000000001 01 80 10 80       lo\n', false],
    ['a link-local address', 'fe800000000000000042acfffe110002 02 40 20 80     eth0\n', true],
    ['a global address', '00000000000000000000000000000001 01 80 10 80 lo\n20010db8000000000000000000000001 02 40 00 80 eth0\n', true],
  ];
  for (const [name, table, expected] of tables) {
    it(`${expected ? 'redirects' : 'does not redirect'} IPv6 with ${name}`, () => {
      expect(hasIpv6(table)).to.equal(expected);
    });
  }
});
