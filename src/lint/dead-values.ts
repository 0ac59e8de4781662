/*
 * Values that no request can have. In: a policy. Out: a warning for each such value, also in the lists that begin with
 * `not`, where it excludes nothing. Called by lintPolicy.
 */

import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { METHODS } from '../http/methods.ts';
import { normalizePath } from '../http/normalize/normalize-path.ts';
import { isPathTemplate } from '../policy/match/path-template.ts';
import { parseStringMatch } from '../policy/match/string-match.ts';
import { conditionsOf, type PlacedRule, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

/** Why a value never matches, and what to write. */
export type Reason = readonly [why: string, hint: string];
type Test = (value: string) => Reason | undefined;
type Mode = MeshConfig['pathNormalization'] | undefined;

/** @param mode absent: paths are not held against a normalization */
export function findDeadValues(policy: Policy, mode: Mode): readonly Finding[] {
  return rulesOf(policy).flatMap((placed) => [...sourceValues(placed), ...operationValues(placed, mode), ...conditionValues(placed)]);
}

function sourceValues(placed: PlacedRule): readonly Finding[] {
  return sourcesOf(placed).flatMap(({ source, path }) => [
    ...judgeValues(`${path}.principals`, source.principals, principal),
    ...judgeValues(`${path}.notPrincipals`, source.notPrincipals, principal),
    ...judgeValues(`${path}.requestPrincipals`, source.requestPrincipals, requestPrincipal),
    ...judgeValues(`${path}.notRequestPrincipals`, source.notRequestPrincipals, requestPrincipal),
    ...judgeValues(`${path}.namespaces`, source.namespaces, innerStar),
    ...judgeValues(`${path}.notNamespaces`, source.notNamespaces, innerStar),
  ]);
}

function operationValues({ rule, path: at }: PlacedRule, mode: Mode): readonly Finding[] {
  const asPath: Test = (value) => pathReason(value, mode);
  return (rule.to ?? []).flatMap(({ operation = {} }, index) => {
    const path = `${at}.to[${index}].operation`;
    return [
      ...judgeValues(`${path}.hosts`, operation.hosts, host),
      ...judgeValues(`${path}.notHosts`, operation.notHosts, host),
      ...judgeValues(`${path}.ports`, operation.ports, port),
      ...judgeValues(`${path}.notPorts`, operation.notPorts, port),
      ...judgeValues(`${path}.methods`, operation.methods, method),
      ...judgeValues(`${path}.notMethods`, operation.notMethods, method),
      ...judgeValues(`${path}.paths`, operation.paths, asPath),
      ...judgeValues(`${path}.notPaths`, operation.notPaths, asPath),
    ];
  });
}

function conditionValues(placed: PlacedRule): readonly Finding[] {
  return conditionsOf(placed).flatMap(({ condition, path }) => {
    const test = conditionTest(condition.key);
    return [
      ...quotedKey(condition.key, path),
      ...dottedKey(condition.key, path),
      ...judgeValues(`${path}.values`, condition.values, test),
      ...judgeValues(`${path}.notValues`, condition.notValues, test),
    ];
  });
}

/** Values of claims and headers may hold any character, a star too. */
function conditionTest(key: string): Test {
  if (key === 'source.principal') return principal;
  if (key === 'request.auth.principal') return requestPrincipal;
  if (key === 'destination.port') return port;
  return key === 'source.namespace' || key === 'connection.sni' ? innerStar : () => undefined;
}

function quotedKey(key: string, path: string): readonly Finding[] {
  const name = /^request\.(?:auth\.claims|headers)(\[.*\])$/.exec(key)?.[1];
  if (name === undefined || !/["']/.test(name)) return [];
  const plain = key.replaceAll(/["']/g, '');
  return [warn({ code: 'SP_NEVER_MATCHES', path: `${path}.key`, message: 'the quotes are part of the name', hint: `write ${plain}` })];
}

/** Keycloak's claims are nested; a dot is otherwise a character of a claim's name like any other. */
function dottedKey(key: string, path: string): readonly Finding[] {
  const name = /^request\.auth\.claims\[((?:realm|resource)_access\.[^\]]*)\]$/.exec(key)?.[1];
  if (name === undefined) return [];
  const hint = `write request.auth.claims${name
    .split('.')
    .map((part) => `[${part}]`)
    .join('')}`;
  return [warn({ code: 'SP_NEVER_MATCHES', path: `${path}.key`, message: 'a dot leads into no nested claim', hint })];
}

/** A warning for each of `values` that `test` gives a reason against. @param path of the list */
export function judgeValues(path: string, values: readonly string[] | undefined, test: Test): readonly Finding[] {
  return (values ?? []).flatMap((value, index) => {
    const reason = test(value);
    if (reason === undefined) return [];
    const effect = /\.not[A-Z]\w*$/.test(path) ? 'excludes nothing' : 'never matches';
    const [why, hint] = reason;
    return [warn({ code: 'SP_NEVER_MATCHES', path: `${path}[${index}]`, message: `${JSON.stringify(value)} ${effect}: ${why}`, hint })];
  });
}

function innerStar(value: string): Reason | undefined {
  const match = parseStringMatch(value);
  if (match.kind === 'present' || !match.value.includes('*')) return undefined;
  return ['only one star, at the start or the end, stands for anything', 'leave one star, or list the values'];
}

function principal(value: string): Reason | undefined {
  if (value.startsWith('spiffe://')) return ['a principal is written without spiffe://', `write ${value.slice('spiffe://'.length)}`];
  return innerStar(value);
}

function requestPrincipal(value: string): Reason | undefined {
  if (value.startsWith('spiffe://')) {
    return ['a request principal is ISSUER/SUBJECT of a token, not the identity of a workload', 'use principals, without spiffe://'];
  }
  if (value.length > 1 && value.startsWith('*') && value.endsWith('*')) {
    return ['after a star at the start, the one at the end is taken literally', 'write * for any token, or ISSUER/* for one issuer'];
  }
  return undefined;
}

function host(value: string): Reason | undefined {
  if (value.includes('://')) return ['a host has no scheme', `write ${value.replace(/^.*:\/\//, '').replace(/\/.*$/, '')}`];
  if (value.includes('/')) return ['a host has no path', `write ${value.replace(/\/.*$/, '')}, and the path under paths`];
  return innerStar(value);
}

function port(value: string): Reason | undefined {
  return Number(value) === 0 ? ['no connection has port 0', 'write the port of the container'] : undefined;
}

function method(value: string): Reason | undefined {
  const match = parseStringMatch(value);
  if (match.kind === 'present') return undefined;
  if (/[a-z]/.test(value)) return ['methods are matched by case', `write ${value.toUpperCase()}`];
  if (match.kind === 'exact' && !METHODS.has(value)) return ['it is no known method', 'look for a misspelling'];
  return innerStar(value);
}

function pathReason(value: string, mode: Mode): Reason | undefined {
  const match = parseStringMatch(value);
  if (match.kind === 'present') return undefined;
  if (/[?#]/.test(value)) return ['paths are matched without query and fragment', `write ${value.replace(/[?#].*$/, '')}`];
  if (isPathTemplate(value)) return undefined;
  if (match.kind !== 'suffix' && !match.value.startsWith('/')) return ['every path begins with /', `write /${value}`];
  if (match.value.includes('*')) {
    return ['a star that is not at the start or the end is taken literally', 'write {*} for one segment, {**} for the rest'];
  }
  if (mode === undefined || match.kind === 'suffix') return undefined;
  // A prefix may stop in the middle of a segment or an escape; what follows decides whether those are changed.
  const tail = match.kind === 'prefix' ? 'x' : '';
  const normal = normalizePath(match.value + tail, mode);
  if (normal === undefined || normal === match.value + tail) return undefined;
  const instead = normal.slice(0, normal.length - tail.length) + (tail === '' ? '' : '*');
  return ['paths are normalized before they are matched', `write ${instead}`];
}
