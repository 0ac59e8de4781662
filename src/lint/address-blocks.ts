/*
 * Address blocks that say more than they match: bits behind the prefix count for nothing. In: one policy. Out: a warning for
 * each. Called by lintPolicy.
 */
import type { AuthorizationPolicy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { formatIpBlock, type IpBlock, parseIp, parseIpBlock } from '../policy/match/ip-block.ts';
import { conditionsOf, type PlacedRule, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

const FIELDS = ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const;
const KEYS: ReadonlySet<string> = new Set(['source.ip', 'remote.ip', 'destination.ip']);

/** The blocks of `policy` with address bits behind their prefix. */
export function findIdleAddressBits(policy: AuthorizationPolicy): readonly Finding[] {
  return rulesOf(policy)
    .flatMap(blockLists)
    .flatMap(({ path, values = [] }) => values.flatMap((value, index) => judgeBlock(`${path}[${index}]`, value)));
}

function blockLists(placed: PlacedRule): readonly { readonly path: string; readonly values: readonly string[] | undefined }[] {
  const inSources = sourcesOf(placed).flatMap(({ source, path }) =>
    FIELDS.map((field) => ({ path: `${path}.${field}`, values: source[field] })),
  );
  const inConditions = conditionsOf(placed)
    .filter(({ condition }) => KEYS.has(condition.key))
    .flatMap(({ condition, path }) => [
      { path: `${path}.values`, values: condition.values },
      { path: `${path}.notValues`, values: condition.notValues },
    ]);
  return [...inSources, ...inConditions];
}

function judgeBlock(path: string, value: string): readonly Finding[] {
  const [address = '', bits] = value.split('/');
  const block = parseIpBlock(value);
  if (bits === undefined || block === undefined || isFirstAddress(block, address)) return [];
  const whole = formatIpBlock(block);
  const message = `${value} means all of ${whole}: what the address says behind the first ${block.bits} bits counts for nothing`;
  return [warn({ code: 'SP_VALUE', path, message, hint: `write ${whole}, or ${address} for the one address` })];
}

function isFirstAddress(block: IpBlock, address: string): boolean {
  return parseIp(address)?.every((word, index) => word === block.words[index]) === true;
}
