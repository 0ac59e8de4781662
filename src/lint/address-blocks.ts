/*
 * Finds address blocks with address bits after the prefix, which are ignored, so that the block is larger than it looks.
 */
import type { AuthorizationPolicy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { formatIpBlock, type IpBlock, parseIp, parseIpBlock } from '../policy/match/ip-block.ts';
import { conditionsOf, type PlacedRule, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

const FIELDS = ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const;
const KEYS: ReadonlySet<string> = new Set(['source.ip', 'remote.ip', 'destination.ip']);

/** A warning for each address block of `policy` with address bits after its prefix. */
export function findIdleAddressBits(policy: AuthorizationPolicy): readonly Finding[] {
  return rulesOf(policy)
    .flatMap(blockLists)
    .flatMap(({ path, values = [] }) => values.flatMap((value, index) => checkBlock(`${path}[${index}]`, value)));
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

function checkBlock(path: string, value: string): readonly Finding[] {
  const [address = '', bits] = value.split('/');
  const block = parseIpBlock(value);
  if (bits === undefined || block === undefined || isFirstAddress(block, address)) return [];
  const whole = formatIpBlock(block);
  const message = `"${value}" matches all of ${whole}: the address bits after the first ${block.bits} are ignored`;
  return [warn({ code: 'SP_VALUE', path, message, hint: `write ${whole}, or ${address} for the single address` })];
}

function isFirstAddress(block: IpBlock, address: string): boolean {
  return parseIp(address)?.every((word, index) => word === block.words[index]) === true;
}
