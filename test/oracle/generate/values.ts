/*
 * Generates values of policies that often match, or nearly match, a string of the requests.
 */
import type { Draw } from './draw.ts';

/** A value for string matching: exact, prefix, suffix, presence, or a near miss of `word`. */
export function stringValue(draw: Draw, word: string): string {
  const cut = word.length === 0 ? 0 : draw.upTo(word.length);
  switch (draw.upTo(11)) {
    case 0:
    case 1:
      return `${word.slice(0, cut)}*`;
    case 2:
    case 3:
      return `*${word.slice(cut)}`;
    case 4:
      return '*';
    case 5:
      return word.toUpperCase();
    case 6:
      return word.slice(0, -1);
    case 7:
      return `${word}x`;
    case 8:
      return draw.pick([
        `${word.slice(0, cut)}*${word.slice(cut)}`,
        `*${word}*`,
        '**',
        `${word}**`,
        `**${word}`,
        '*x*',
        ` ${word}`,
        `${word} `,
        `^${word}$`,
        '.*',
      ]);
    default:
      return word;
  }
}

/** A template or plain value for the path `word`, based on its segments. */
export function pathValue(draw: Draw, word: string): string {
  if (draw.chance(0.6)) return stringValue(draw, word);
  const segments = word.split('/').slice(1);
  const made = segments.map((segment) => (draw.chance(0.4) ? draw.pick(['{*}', '{*}', '{*}', '{**}']) : segment));
  const value = `/${made.join('/')}`;
  return draw.chance(0.1)
    ? draw.pick([
        `${value}/{**}`,
        `${value}/{*}`,
        `${value}/`,
        '/{**}',
        '/{*}',
        '/{*}/{**}',
        '/{**}/{*}',
        '/{**}/x',
        `${value}{*}`,
        '/{x}',
        '/{*}/{*}',
        '/{**}/{**}',
      ])
    : value;
}

/** An address or a block that contains or is close to `ip`. */
export function ipValue(draw: Draw, ip: string): string {
  const wide = ip.includes(':') ? [128, 127, 64, 48, 32, 1, 0] : [32, 31, 30, 24, 16, 8, 1, 0];
  switch (draw.upTo(6)) {
    case 0:
    case 1:
    case 2:
      return `${ip}/${draw.pick(wide)}`;
    case 3:
      return ip.replace(/.$/, (digit) => (digit === '9' ? '8' : '9'));
    case 4:
      return draw.pick([
        '0.0.0.0/0',
        '::/0',
        '::ffff:0:0/96',
        '10.0.0.0/8',
        '2001:db8::/32',
        '::ffff:10.1.2.3',
        '::ffff:10.0.0.0/104',
        '2001:DB8:0:0::/32',
        '::10.1.2.3',
        '0.0.0.0',
        '::',
        '255.255.255.255/32',
      ]);
    default:
      return ip;
  }
}
