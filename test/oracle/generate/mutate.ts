/*
 * Modifies recorded cases: copies a case of the directories `cases` and `random` and changes some values, actions, settings and
 * requests.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { RecordedCase, RecordedRequest } from '../../conformance/case-file.ts';
import type { Todo } from '../recorder.ts';
import type { Draw } from './draw.ts';
import { stringValue } from './values.ts';
import { FORWARDED, HEADER_VALUES, HTTP2_PATHS, METHODS, PATHS, PRINCIPALS } from './vocabulary.ts';

type Unrecorded = Todo['recorded'];
type Tree = Record<string, unknown>;

const FOLDERS = ['cases', 'random'].map((name) => join(import.meta.dirname, '../../conformance', name));

let files: readonly string[] | undefined;

function recordedFiles(): readonly string[] {
  files ??= FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .sort()
      .map((name) => join(folder, name)),
  );
  return files;
}

/** A modified copy of one recorded case. */
export function mutateRecorded(draw: Draw): Unrecorded {
  const path = draw.pick(recordedFiles());
  const { istio: _, ...recorded } = JSON.parse(readFileSync(path, 'utf8')) as RecordedCase;
  const words = wordsOf(recorded.resources, recorded.requests);
  const resources = recorded.resources.map((resource) => changeResource(draw, resource as unknown as Tree, words));
  return {
    ...recorded,
    file: basename(path, '.json'),
    ...(draw.chance(0.3) ? { meshConfig: changeMesh(draw, recorded.meshConfig ?? {}) } : {}),
    resources: resources as unknown as Unrecorded['resources'],
    requests: draw.some(recorded.requests, 1, 20).map((request) => changeRequest(draw, request)),
  };
}

function changeMesh(draw: Draw, mesh: Readonly<Tree>): Tree {
  return {
    ...mesh,
    ...draw.maybe(0.6, () => ({
      pathNormalization: { normalization: draw.pick(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']) },
    })),
    ...draw.maybe(0.3, () => ({ trustDomain: draw.pick(['td1', 'cluster.local', 'other-td']) })),
    ...draw.maybe(0.3, () => ({ trustDomainAliases: draw.some(['td1', 'td2', 'old-td', 'cluster.local'], 1, 2) })),
  };
}

/** Strings of the case that may replace values elsewhere. */
function wordsOf(resources: readonly unknown[], requests: readonly RecordedRequest[]): readonly string[] {
  const words: string[] = [];
  JSON.stringify(resources, (name, value: unknown) => {
    if (typeof value === 'string' && value.length < 80 && !/^(apiVersion|kind|namespace|action|key)$/.test(name)) words.push(value);
    return value;
  });
  for (const { path, host, method, source } of requests)
    words.push(...[path, host, method, source.principal?.replace('spiffe://', ''), source.ip].filter((word) => word !== undefined));
  return words;
}

const LIST =
  /^(not)?(principals|requestPrincipals|namespaces|serviceAccounts|trustDomains|ipBlocks|remoteIpBlocks|hosts|ports|methods|paths|values)$/i;

function changeResource(draw: Draw, resource: Tree, words: readonly string[]): Tree {
  if (resource['kind'] !== 'AuthorizationPolicy' || draw.chance(0.1)) return resource;
  const spec = walk(draw, (resource['spec'] ?? {}) as Tree, words) as Tree;
  const flips = spec['action'] === undefined || spec['action'] === 'ALLOW' || spec['action'] === 'DENY';
  if (flips && spec['rules'] !== undefined && draw.chance(0.3)) spec['action'] = draw.pick(['ALLOW', 'DENY', 'AUDIT']);
  const metadata = { ...(resource['metadata'] as Tree) };
  if (flips && spec['action'] !== 'AUDIT' && draw.chance(0.1)) metadata['annotations'] = { 'istio.io/dry-run': 'true' };
  return { ...resource, metadata, spec };
}

function walk(draw: Draw, node: unknown, words: readonly string[]): unknown {
  if (Array.isArray(node)) return node.map((item) => walk(draw, item, words));
  if (typeof node !== 'object' || node === null) return node;
  const out: Tree = {};
  for (const [name, value] of Object.entries(node)) {
    const isList = LIST.test(name) && Array.isArray(value);
    const goal = isList && draw.chance(0.12) ? negated(name) : name;
    out[goal] = isList ? (value as string[]).map((text) => changeValue(draw, name, text, words)) : walk(draw, value, words);
  }
  return out;
}

function negated(name: string): string {
  return name.startsWith('not') ? name.charAt(3).toLowerCase() + name.slice(4) : `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

function changeValue(draw: Draw, field: string, text: string, words: readonly string[]): string {
  if (typeof text !== 'string' || draw.chance(0.5)) return text;
  if (/ip|ports/i.test(field)) return draw.chance(0.5) ? text : text.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10));
  if (draw.chance(0.2)) return draw.pick(words);
  return text.includes('{') ? text : stringValue(draw, text.replaceAll('*', ''));
}

function changeRequest(draw: Draw, { observed: _observed, ...request }: RecordedRequest & { expect?: unknown }): RecordedRequest {
  const { expect: _expect, ...kept } = request;
  if (kept.raw !== undefined) return kept;
  const principal = kept.source.principal !== undefined && draw.chance(0.15) ? { principal: draw.pick(PRINCIPALS) } : {};
  return {
    ...kept,
    ...draw.maybe(0.15, () => ({ path: draw.pick(kept.http2 === true ? HTTP2_PATHS : PATHS) })),
    ...(kept.http2 === true ? {} : draw.maybe(0.1, () => ({ method: draw.pick(METHODS) }))),
    ...draw.maybe(0.15, () => ({
      headers: [
        ...(kept.headers ?? []),
        [
          draw.pick(['x-forwarded-for', 'x-user', 'x-env', 'x-header', 'X-header']),
          draw.pick([...FORWARDED.slice(0, 5), ...HEADER_VALUES.slice(0, 6)]),
        ] as const,
      ],
    })),
    source: { ...kept.source, ...principal },
  };
}
