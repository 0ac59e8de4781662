/*
 * Path normalization as Istio configures Envoy. The normalized target is what policies see and what is forwarded. One scan
 * detects paths that need no change, which are most.
 * @see istio.io mesh config, pathNormalization; Envoy path_utility.cc
 */
import type { PathNormalization } from '../../api/mesh-config.ts';
import { canonicalizePath } from './canonical-path.ts';

const SLASH = 47;
const DOT = 46;

/** 1: a byte that canonicalization copies in every position. A dot matters only after a slash. */
const CLEAN: Uint8Array = buildCleanTable();

function buildCleanTable(): Uint8Array {
  const table = new Uint8Array(256);
  const clean = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$&'()*+,-.:;=@[]_~/";
  for (const character of clean) table[character.charCodeAt(0)] = 1;
  return table;
}

/** Does every mode leave `path[0, end)` unchanged? Can be false for an unchanged path, but is never true for any other. */
function isClean(path: string, end: number): boolean {
  let previous = 0;
  for (let i = 0; i < end; i++) {
    const code = path.charCodeAt(i);
    if (code > 255 || CLEAN[code] === 0) return false;
    if (previous === SLASH && (code === SLASH || code === DOT)) return false;
    previous = code;
  }
  return true;
}

/**
 * Normalizes the path; the query is kept byte for byte, a fragment is dropped in every mode.
 * @param target path with query, beginning with `/`
 * @returns undefined when the path contains a NUL, encoded or raw; Envoy replies 400
 */
export function normalizePath(target: string, mode: PathNormalization): string | undefined {
  const fragment = target.indexOf('#');
  const whole = fragment === -1 ? target : target.slice(0, fragment);
  if (mode === 'NONE') return whole;
  const query = whole.indexOf('?');
  const end = query === -1 ? whole.length : query;
  if (isClean(whole, end)) return whole;
  let path = whole.slice(0, end);
  if (mode === 'DECODE_AND_MERGE_SLASHES') path = unescapeSlashes(path);
  const canonical = canonicalizePath(stripDotSegmentParameters(path));
  if (canonical === undefined) return undefined;
  return (mode === 'BASE' ? canonical : mergeSlashes(canonical)) + whole.slice(end);
}

/** `%2F` becomes `/`, `%5C` becomes `\`, once. */
function unescapeSlashes(path: string): string {
  return path.replaceAll('%2F', '/').replaceAll('%2f', '/').replaceAll('%5C', '\\').replaceAll('%5c', '\\');
}

/** Cuts a segment `.;…` or `..;…` at its `;`, so that `/..;/` is not a name here and a parent directory for the application. */
function stripDotSegmentParameters(path: string): string {
  if (!path.includes('.;')) return path;
  return path
    .split('/')
    .map((segment) => {
      if (segment.startsWith('.;')) return '.';
      return segment.startsWith('..;') ? '..' : segment;
    })
    .join('/');
}

function mergeSlashes(path: string): string {
  if (!path.includes('//')) return path;
  const inner = path.split('/').filter((segment) => segment !== '');
  return `/${inner.join('/')}${path.endsWith('/') ? '/' : ''}`;
}
