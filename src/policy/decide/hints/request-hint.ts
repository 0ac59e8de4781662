/*
 * Guesses at the mistake in hosts, methods, headers and addresses. In: the matches and the facts. Out: one sentence, or
 * nothing.
 */

import type { RequestFacts } from '../../facts.ts';
import { blockContains, parseIp, parseIpBlock } from '../../match/ip-block.ts';
import { asciiLowerCase, compileStringMatch, type StringTest, toByteMatch } from '../../match/string-match.ts';
import type { StringMatch } from '../../model/program.ts';
import { far, type Hint, near, spellingHint, stringText } from './hint.ts';

/** What keeps `saw` from being one of the hosts; their case never counts. */
export function hostHint(wanted: readonly StringMatch[], saw: string): Hint | undefined {
  const host = asciiLowerCase(saw);
  for (const match of wanted) {
    const hint = match.kind === 'exact' ? oneHostHint(match.value, host, saw) : undefined;
    if (hint !== undefined) return hint;
  }
  return undefined;
}

function oneHostHint(text: string, host: string, saw: string): Hint | undefined {
  const wanted = asciiLowerCase(text);
  if (host.startsWith(`${wanted}:`)) return near(`hosts are compared with the port: add ${text}:*`);
  if (wanted.startsWith(`${host}:`)) return near(`the client names no port: add ${saw}`);
  const bare = wanted.replace(/^[a-z][a-z0-9+.-]*:\/\//, '').replace(/\/.*$/s, '');
  if (bare !== wanted && (bare === host || host.startsWith(`${bare}:`))) return near(`a host has no scheme and no path: write ${saw}`);
  if (wanted === `${host}.` || host === `${wanted}.`) return near(`differs only in a dot at the end from ${text}`);
  const name = host.replace(/:\d*$/, '');
  return wanted.startsWith(`${name}.`) || name.startsWith(`${wanted}.`)
    ? near(`hosts are compared as the client sends them: add ${saw}`)
    : undefined;
}

/** What keeps `saw` from being one of the methods. */
export function methodHint(wanted: readonly StringMatch[], saw: string): Hint | undefined {
  for (const match of wanted) {
    const hint = spellingHint(match, saw, compileAny);
    if (hint !== undefined) return { ...hint, text: `${hint.text}: write ${saw}` };
  }
  return undefined;
}

/** What keeps the header from being one of `wanted`. @param values every instance; empty: absent */
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
      if (value.split(/\s*,\s*/).some(compileAny(match)))
        return near(`the value is one text: it is not split at commas to find ${stringText(match)}`);
    }
  }
  return undefined;
}

/** What keeps the server name of the connection from being one that is wanted. */
export function sniHint(wanted: readonly StringMatch[], saw: string): Hint | undefined {
  if (saw === '') return far('the connection names no server (SNI)');
  return wanted.map((match) => spellingHint(match, saw, compileAny)).find((hint) => hint !== undefined);
}

/** What keeps the address from being in one of the blocks: mostly that another address is meant. */
export function addressHint(attribute: 'sourceIp' | 'remoteIp', blocks: readonly string[], facts: RequestFacts): Hint | undefined {
  const { sourceIp } = facts.connection;
  const holds = (text: string): boolean => {
    const address = parseIp(text);
    return address !== undefined && blocks.map(parseIpBlock).some((block) => block !== undefined && blockContains(block, address));
  };
  const forwarded = facts.headerValues('x-forwarded-for').flatMap((value) => value.split(',').map((part) => part.trim()));
  const named = forwarded.find(holds);
  if (attribute === 'remoteIp') {
    if (holds(sourceIp))
      return near(`the connection comes from ${sourceIp}, which is for ipBlocks; x-forwarded-for makes it ${facts.remoteIp}`);
    return named === undefined ? undefined : near(`x-forwarded-for names ${named}, but the element that counts is ${facts.remoteIp}`);
  }
  return named === undefined
    ? undefined
    : near(`x-forwarded-for names ${named}, which is for remoteIpBlocks; the connection comes from ${sourceIp}`);
}

function compileAny(match: StringMatch): StringTest {
  return compileStringMatch(toByteMatch(match), 'any');
}
