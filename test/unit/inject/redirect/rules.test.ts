/* The iptables rules of the redirect, and their arguments. */
import { expect } from 'chai';
import { MAX_LISTED_PORTS } from '../../../../src/api/kube/agent-contract.ts';
import { RefusedError } from '../../../../src/errors.ts';
import { hasIpv6, jumpsOf, parseRedirect, redirectRules } from '../../../../src/inject/redirect/rules.ts';

/** In a pod that has the jumps already. */
const AGAIN = { hasCanary: false, missing: [] };

describe('redirect', () => {
  it('keeps the redirect of earlier versions: each captured port to its agent port, others to the blocked port', () => {
    const redirect = parseRedirect(['--map', '8080:15101', '--map', '90:15102', '--exclude', '15020', '--blocked', '15099']);

    expect(redirectRules(redirect, AGAIN).split('\n')).to.deep.equal([
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

  it('redirects every port to the agent but those that are excluded, and never loopback', () => {
    expect(redirectRules(parseRedirect(['--all', '15006', '--exclude', '15020', '--exclude', '25']), AGAIN).split('\n')).to.deep.equal([
      '*nat',
      ':SALLYPORT_INBOUND - [0:0]',
      '-A SALLYPORT_INBOUND -i lo -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp --dport 15020 -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp --dport 25 -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp -j REDIRECT --to-ports 15006',
      'COMMIT',
      '',
    ]);
  });

  it('redirects only the ports of a list', () => {
    const rules = redirectRules(parseRedirect(['--all', '15006', '--exclude', '15020', '--only', '80', '--only', '81']), AGAIN);

    expect(rules.split('\n').slice(3, -2)).to.deep.equal([
      '-A SALLYPORT_INBOUND -p tcp --dport 15020 -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp --dport 80 -j REDIRECT --to-ports 15006',
      '-A SALLYPORT_INBOUND -p tcp --dport 81 -j REDIRECT --to-ports 15006',
    ]);
  });

  it('adds what leads to the rules in the same text as the rules, and the canary only where it is wanted', () => {
    const redirect = parseRedirect(['--all', '15006', '--exclude', '15020']);

    expect(redirectRules(redirect, { hasCanary: true, missing: jumpsOf(true) }).split('\n')).to.deep.equal([
      '*nat',
      ':SALLYPORT_INBOUND - [0:0]',
      ':SALLYPORT_CANARY - [0:0]',
      '-A SALLYPORT_INBOUND -i lo -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp --dport 15020 -j RETURN',
      '-A SALLYPORT_INBOUND -p tcp -j REDIRECT --to-ports 15006',
      '-A SALLYPORT_CANARY -p tcp -j REDIRECT --to-ports 15006',
      '-A PREROUTING -p tcp -j SALLYPORT_INBOUND',
      '-A OUTPUT -o lo -p tcp --dport 15007 -j SALLYPORT_CANARY',
      'COMMIT',
      '',
    ]);
    expect(redirectRules(redirect, { hasCanary: false, missing: jumpsOf(false) })).to.not.match(/CANARY|OUTPUT/);
  });

  it('has one rule for a port that is named more than once', () => {
    const all = parseRedirect(['--all', '15006', '--exclude', '25', '--exclude', '25', '--only', '80', '--only', '80']);
    const earlier = parseRedirect(['--blocked', '15099', '--map', '80:1', '--map', '80:1']);

    expect(all).to.deep.include({ excluded: [25], only: [80] });
    expect(earlier.maps).to.deep.equal([{ port: 80, listen: 1 }]);
  });

  it('refuses more ports than an annotation may list, in either form', () => {
    const excluded = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => String(at + 1));
    const most = parseRedirect(['--all', '15006', ...excluded(MAX_LISTED_PORTS + 1).flatMap((port) => ['--exclude', port])]);

    expect(most.excluded).to.have.length(MAX_LISTED_PORTS + 1);
    expect(() => parseRedirect(['--all', '15006', ...excluded(3_000).map((port) => `--exclude=${port}`)])).to.throw(
      RefusedError,
      'too many ports: there are 3002 arguments',
    );
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
    ['--all', '1', '--blocked', '2'],
    ['--all', '1', '--map', '80:1'],
    ['--all', 'x'],
    ['--all', '1', '--only', '0'],
    ['--blocked', '1', '--only', '80'],
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
