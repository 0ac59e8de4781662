/*
 * Finds values that no request can have. In a list that starts with `not`, these values exclude nothing.
 */

import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { isToken } from '../http/field-syntax.ts';
import { METHODS } from '../http/methods.ts';
import { normalizePath } from '../http/normalize/normalize-path.ts';
import { pathMistake } from '../policy/match/path-mistakes.ts';
import { isPathTemplate } from '../policy/match/path-template.ts';
import { parseStringMatch } from '../policy/match/string-match.ts';
import { upTo } from '../text.ts';
import { conditionsOf, type PlacedRule, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

/** Why a value never matches, and what to write instead; `effect` in place of "never matches" if it may match something else. */
export type Reason = readonly [why: string, hint: string, effect?: string];
type Test = (value: string) => Reason | undefined;
type Mode = MeshConfig['pathNormalization'] | undefined;

/** A warning for each value of `policy` that no request can have. @param mode undefined: paths are not compared with their normalized form */
export function findDeadValues(policy: Policy, mode: Mode): readonly Finding[] {
  return rulesOf(policy).flatMap((placed) => [...sourceValues(placed), ...operationValues(placed, mode), ...conditionValues(placed)]);
}

function sourceValues(placed: PlacedRule): readonly Finding[] {
  return sourcesOf(placed).flatMap(({ source, path }) => [
    ...checkValues(`${path}.principals`, source.principals, principal),
    ...checkValues(`${path}.notPrincipals`, source.notPrincipals, principal),
    ...checkValues(`${path}.requestPrincipals`, source.requestPrincipals, requestPrincipal),
    ...checkValues(`${path}.notRequestPrincipals`, source.notRequestPrincipals, requestPrincipal),
    ...checkValues(`${path}.namespaces`, source.namespaces, innerWildcard),
    ...checkValues(`${path}.notNamespaces`, source.notNamespaces, innerWildcard),
  ]);
}

function operationValues({ rule, path: at }: PlacedRule, mode: Mode): readonly Finding[] {
  const asPath: Test = (value) => pathReason(value, mode);
  return (rule.to ?? []).flatMap(({ operation = {} }, index) => {
    const path = `${at}.to[${index}].operation`;
    return [
      ...checkValues(`${path}.hosts`, operation.hosts, host),
      ...checkValues(`${path}.notHosts`, operation.notHosts, host),
      ...checkValues(`${path}.ports`, operation.ports, port),
      ...checkValues(`${path}.notPorts`, operation.notPorts, port),
      ...checkValues(`${path}.methods`, operation.methods, method),
      ...checkValues(`${path}.notMethods`, operation.notMethods, method),
      ...checkValues(`${path}.paths`, operation.paths, asPath),
      ...checkValues(`${path}.notPaths`, operation.notPaths, asPath),
    ];
  });
}

function conditionValues(placed: PlacedRule): readonly Finding[] {
  return conditionsOf(placed).flatMap(({ condition, path }) => {
    const test = conditionTest(condition.key);
    return [
      ...quotedKey(condition.key, path),
      ...dottedKey(condition.key, path),
      ...checkValues(`${path}.values`, condition.values, test),
      ...checkValues(`${path}.notValues`, condition.notValues, test),
    ];
  });
}

/** Values of claims and headers may contain any character, including `*`. */
function conditionTest(key: string): Test {
  if (key === 'source.principal') return principal;
  if (key === 'request.auth.principal') return requestPrincipal;
  if (key === 'destination.port') return port;
  return key === 'source.namespace' || key === 'connection.sni' ? innerWildcard : () => undefined;
}

function quotedKey(key: string, path: string): readonly Finding[] {
  const name = /^request\.(?:auth\.claims|headers)(\[.*\])$/.exec(key)?.[1];
  if (name === undefined || !/["']/.test(name)) return [];
  const plain = key.replaceAll(/["']/g, '');
  return [
    warn({
      code: 'SP_NEVER_MATCHES',
      path: `${path}.key`,
      message: `"${key}" never matches: the quotes are part of the name`,
      hint: `write ${plain}`,
    }),
  ];
}

/** Keycloak's claims are nested; otherwise a dot is an ordinary character of a claim's name. */
function dottedKey(key: string, path: string): readonly Finding[] {
  const name = /^request\.auth\.claims\[((?:realm|resource)_access\.[^\]]*)\]$/.exec(key)?.[1];
  if (name === undefined) return [];
  const hint = `write request.auth.claims${name
    .split('.')
    .map((part) => `[${part}]`)
    .join('')}`;
  return [
    warn({ code: 'SP_NEVER_MATCHES', path: `${path}.key`, message: `"${key}" never matches: a dot does not select a nested claim`, hint }),
  ];
}

/** A warning for each of `values` for which `test` returns a reason. @param path path of the list */
export function checkValues(path: string, values: readonly string[] | undefined, test: Test): readonly Finding[] {
  return (values ?? []).flatMap((value, index) => {
    const reason = test(value);
    if (reason === undefined) return [];
    const nothing = /\.not[A-Z]\w*$/.test(path) ? 'excludes nothing' : 'never matches';
    const [why, hint, effect = nothing] = reason;
    return [warn({ code: 'SP_NEVER_MATCHES', path: `${path}[${index}]`, message: `${JSON.stringify(value)} ${effect}: ${why}`, hint })];
  });
}

function innerWildcard(value: string): Reason | undefined {
  const match = parseStringMatch(value);
  if (match.kind === 'present' || !match.value.includes('*')) return undefined;
  return ['a wildcard is one * at the start or the end', 'use one *, or list the values'];
}

function principal(value: string): Reason | undefined {
  if (value.startsWith('spiffe://')) return ['a principal does not include spiffe://', `write ${value.slice('spiffe://'.length)}`];
  return innerWildcard(value);
}

function requestPrincipal(value: string): Reason | undefined {
  if (value.startsWith('spiffe://')) {
    return ['a request principal is ISSUER/SUBJECT of a token, not the identity of a workload', 'use principals without spiffe://'];
  }
  if (value.length > 1 && value.startsWith('*') && value.endsWith('*')) {
    return ['after a * at the start, the * at the end is literal', 'write * for any token, or ISSUER/* for one issuer'];
  }
  return undefined;
}

function host(value: string): Reason | undefined {
  if (value.includes('://')) return ['a host has no scheme', `write ${upTo(value.slice(value.lastIndexOf('://') + '://'.length), '/')}`];
  if (value.includes('/')) return ['a host has no path', `write ${upTo(value, '/')}, and put the path into paths`];
  return innerWildcard(value);
}

function reasonWith(effect: string | undefined, why: string, hint: string): Reason {
  return effect === undefined ? [why, hint] : [why, hint, effect];
}

function port(value: string): Reason | undefined {
  return Number(value) === 0 ? ['no connection has port 0', 'write the container port'] : undefined;
}

function method(value: string): Reason | undefined {
  const match = parseStringMatch(value);
  if (match.kind === 'present') return undefined;
  // Over HTTP/2 a method may be any token, as in Envoy.
  const effect = isToken(match.value, 0, match.value.length) ? 'is sent over HTTP/2 only' : undefined;
  if (/[a-z]/.test(value)) return reasonWith(effect, 'methods are case-sensitive', `write ${value.toUpperCase()}`);
  if (match.kind === 'exact' && !METHODS.has(value)) return reasonWith(effect, 'it is not a known method', 'check its spelling');
  return innerWildcard(value);
}

function pathReason(value: string, mode: Mode): Reason | undefined {
  const match = parseStringMatch(value);
  if (match.kind === 'present') return undefined;
  const mistake = pathMistake(value);
  if (mistake !== undefined) {
    const effect = value.startsWith('/') && mistake.isLiteral ? 'is compared literally' : undefined;
    return reasonWith(effect, mistake.reason, mistake.instead);
  }
  if (/[?#]/.test(value)) return ['paths are matched without query and fragment', `write ${value.slice(0, value.search(/[?#]/))}`];
  if (isPathTemplate(value)) return undefined;
  if (match.kind !== 'suffix' && !match.value.startsWith('/')) return ['every path starts with /', `write /${value}`];
  if (match.value.includes('*')) {
    return ['a * that is not at the start or the end is literal', 'write {*} for one segment, {**} for the rest of the path'];
  }
  if (mode === undefined || match.kind === 'suffix') return undefined;
  // A prefix may end in the middle of a segment or an escape; what follows determines whether they are normalized.
  const tail = match.kind === 'prefix' ? 'x' : '';
  const normal = normalizePath(match.value + tail, mode);
  if (normal === undefined || normal === match.value + tail) return undefined;
  const instead = normal.slice(0, normal.length - tail.length) + (tail === '' ? '' : '*');
  return ['paths are normalized before they are matched', `write ${instead}`];
}
