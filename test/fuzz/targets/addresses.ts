/* Addresses: IP blocks and literals, X-Forwarded-For, hosts and URLs. */
import { isIP } from 'node:net';
import { isHostAndPort, isValidReferer, parseHttpUrl } from '../../../src/http/normalize/http-url.ts';
import { remoteAddress } from '../../../src/http/normalize/remote-address.ts';
import { blockContains, formatIpBlock, isIpLiteral, parseIp, parseIpBlock } from '../../../src/policy/match/ip-block.ts';
import { type FuzzTarget, hold } from '../target.ts';

const PEER = '192.0.2.1';

export const addresses: FuzzTarget = {
  name: 'addresses',
  properties:
    'literals agree with node:net; a formatted block round-trips and contains its own address; X-Forwarded-For gives a literal or the peer',
  seeds: [
    '10.0.0.1',
    '10.0.0.0/8',
    '2001:db8::/32',
    '::ffff:1.2.3.4',
    '1.1.1.1, 2.2.2.2',
    ' ::1 ',
    '[::1]:80',
    'fe80::1%eth0',
    'http://u:p@h.example:80/p?q#f',
    '1:2:3:4:5:6:7:8/128',
  ],
  dictionary: [
    '.',
    ':',
    '::',
    '/',
    '0',
    '00',
    '255',
    '256',
    'ffff',
    '1.2.3.4',
    '/0',
    '/32',
    '/128',
    '/129',
    ', ',
    '%',
    '[',
    ']',
    '@',
    '://',
    ' ',
  ],
  regressions: [],
  run(input) {
    hold(isIpLiteral(input) === (parseIp(input) !== undefined), 'both parsers agree');
    hold(isIpLiteral(input) === (isIP(input) !== 0 && !input.includes('%')), 'a literal is what node:net accepts');
    const block = parseIpBlock(input);
    if (block !== undefined) {
      const text = formatIpBlock(block);
      const again = parseIpBlock(text);
      hold(again !== undefined && formatIpBlock(again) === text, 'a formatted block parses to the same block');
      hold(blockContains(block, parseIp(input.split('/')[0] ?? '') ?? []), 'a block contains the address it is written with');
    }
    const remote = remoteAddress(input, PEER);
    hold(remote === PEER || (isIP(remote) !== 0 && input.includes(remote)), 'a remote address is a literal of the header, or the peer');
    isHostAndPort(input);
    isValidReferer(input);
    const url = parseHttpUrl(input);
    if (url !== undefined) hold(isHostAndPort(url.authority) && !url.authority.includes('@'), 'an authority has no userinfo');
  },
};
