/*
 * Hints at likely mistakes in hosts, methods, headers, server names and addresses.
 */

import type { RequestFacts } from '../../facts.ts';
import { blockContains, parseIp, parseIpBlock } from '../../match/ip-block.ts';
import { asciiLowerCase, compileStringMatch, type StringTest, toByteMatch } from '../../match/string-match.ts';
import type { StringMatch } from '../../model/program.ts';
import { commaList, far, formatString, type Hint, near, spellingHint } from './hint.ts';

/** Why `saw` is not one of the hosts, which are compared without regard to case; `undefined`: unknown. */
export function hostHint(wanted: readonly StringMatch[], saw: string): Hint | undefined {
  const host = asciiLowerCase(saw);
  for (const match of wanted) {
    const hint = match.kind === 'exact' ? oneHostHint(match.value, host, saw) : portHint(match, host, saw);
    if (hint !== undefined) return hint;
  }
  return undefined;
}

/** A pattern cannot have a star at both ends, so that a suffix never allows a port. */
function portHint(match: StringMatch, host: string, saw: string): Hint | undefined {
  const name = host.replace(/:\d+$/, '');
  if (match.kind !== 'suffix' || name === host || !name.endsWith(asciiLowerCase(match.value))) return undefined;
  const alternative = `add ${saw}, or let the proxy in front remove the port`;
  return near(`the host was sent with a port, which is part of it: ${alternative}; *${match.value}:* has two stars and matches nothing`);
}

function oneHostHint(written: string, host: string, saw: string): Hint | undefined {
  const wanted = asciiLowerCase(written);
  if (host.startsWith(`${wanted}:`)) return near(`hosts are compared including the port: add ${written}:*`);
  if (wanted.startsWith(`${host}:`)) return near(`the client sends no port: add ${saw}`);
  const bare = wanted.replace(/^[a-z][a-z0-9+.-]*:\/\//, '').replace(/\/.*$/s, '');
  if (bare !== wanted && (bare === host || host.startsWith(`${bare}:`)))
    return near(`a host has neither a scheme nor a path: write ${saw}`);
  if (wanted === `${host}.` || host === `${wanted}.`) return near(`differs only in a trailing dot from ${written}`);
  const name = host.replace(/:\d*$/, '');
  return wanted.startsWith(`${name}.`) || name.startsWith(`${wanted}.`)
    ? near(`hosts are compared as the client sends them: add ${saw}`)
    : undefined;
}

/** Why `saw` is not one of the methods; `undefined`: unknown. */
export function methodHint(wanted: readonly StringMatch[], saw: string): Hint | undefined {
  for (const match of wanted) {
    const hint = spellingHint(match, saw, compileAny);
    if (hint !== undefined) return { ...hint, message: `${hint.message}: write ${saw}` };
  }
  return undefined;
}

/** Why the header is not one of `wanted`; `undefined`: unknown. */
export function headerHint(name: string, wanted: readonly StringMatch[], facts: RequestFacts): Hint | undefined {
  const values = facts.headerValues(name);
  if (values.length === 0) {
    const other = [name.replaceAll('_', '-'), name.replaceAll('-', '_'), `x-${name}`, name.replace(/^x-/, '')].find(
      (one) => one !== name && facts.headerValues(one).length > 0,
    );
    return other === undefined ? far(`header ${name} is absent`) : near(`header ${name} is absent; the request has ${other}`);
  }
  for (const value of values) {
    for (const match of wanted) {
      const hint = spellingHint(match, value, compileAny);
      if (hint !== undefined) return hint;
      if (commaList(value).some(compileAny(match)))
        return near(`the value is one string: it is not split at commas to find ${formatString(match)}`);
    }
  }
  return undefined;
}

/** Why the server name of the connection is not one of `wanted`; `undefined`: unknown. */
export function sniHint(wanted: readonly StringMatch[], saw: string): Hint | undefined {
  if (saw === '') return far('the connection has no server name (SNI)');
  return wanted.map((match) => spellingHint(match, saw, compileAny)).find((hint) => hint !== undefined);
}

/** Why the address is not in one of the blocks, usually because another address is; `undefined`: unknown. */
export function addressHint(attribute: 'sourceIp' | 'remoteIp', blocks: readonly string[], facts: RequestFacts): Hint | undefined {
  const { sourceIp } = facts.connection;
  const holds = (candidate: string): boolean => {
    const address = parseIp(candidate);
    return address !== undefined && blocks.map(parseIpBlock).some((block) => block !== undefined && blockContains(block, address));
  };
  const forwarded = facts.headerValues('x-forwarded-for').flatMap((value) => value.split(',').map((part) => part.trim()));
  const named = forwarded.find(holds);
  if (attribute === 'remoteIp') {
    if (holds(sourceIp))
      return near(
        `the connection comes from ${sourceIp}, which ipBlocks would match; x-forwarded-for makes the remote IP ${facts.remoteIp}`,
      );
    return named === undefined ? undefined : near(`x-forwarded-for contains ${named}, but the remote IP is ${facts.remoteIp}`);
  }
  return named === undefined
    ? undefined
    : near(`x-forwarded-for contains ${named}, which remoteIpBlocks would match; the connection comes from ${sourceIp}`);
}

function compileAny(match: StringMatch): StringTest {
  return compileStringMatch(toByteMatch(match), 'any');
}
