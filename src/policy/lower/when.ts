/*
 * Lowers one condition of `rules[].when[]` to its clause.
 * @see istio pilot/pkg/security/authz/model/model.go (attribute names)
 */
import type { Condition } from '../../api/istio/resources.ts';
import {
  addressClause,
  badKeyClause,
  type CreateClause,
  claimClause,
  headerClause,
  metadataClause,
  namespaceClause,
  portClause,
  principalClause,
  requestPrincipalClause,
  serviceAccountClause,
  stringClause,
  trustDomainClause,
} from './attributes.ts';
import { DROP_RULE, type Lowered, type RuleContext } from './lowering.ts';

const HEADERS = 'request.headers';
const CLAIMS = 'request.auth.claims';
const METADATA = 'experimental.';
const FILTERS = 'experimental.envoy.filters.';
/** Filters that Istio configures and that write results to metadata: of dry runs, of the match of CUSTOM, of ext_authz. */
const RESULTS = /^envoy\.filters\.(http|network)\.(rbac|ext_authz)$/;

// oxlint-disable-next-line no-control-regex -- no header has these characters in its name, and Envoy refuses them
const LINE_BREAK_OR_NUL = /[\0\r\n]/;

/** Keys without brackets. */
const PLAIN_KEYS: ReadonlyMap<string, CreateClause> = new Map<string, CreateClause>([
  ['source.ip', addressClause('sourceIp')],
  ['remote.ip', addressClause('remoteIp')],
  ['source.namespace', namespaceClause],
  ['source.serviceAccount', serviceAccountClause],
  ['source.trustDomain', trustDomainClause],
  ['source.principal', principalClause],
  ['request.auth.principal', requestPrincipalClause],
  ['request.auth.audiences', claimClause(['aud'])],
  ['request.auth.presenter', claimClause(['azp'])],
  ['destination.ip', addressClause('destinationIp')],
  ['destination.port', portClause],
  ['connection.sni', stringClause('sni')],
]);

/**
 * The clause of one condition. An unknown key drops the rule under every action, as in Istio.
 * @param path of the condition, e.g. `spec.rules[0].when[1]`
 */
export function lowerCondition(context: RuleContext, condition: Condition, path: string): Lowered {
  const { key } = condition;
  const create = PLAIN_KEYS.get(key) ?? bracketedKey(key);
  if (create === undefined) {
    context.report('SP_WHEN', `${path}.key`, `unknown attribute ${key}`);
    return DROP_RULE;
  }
  return create(context, key, {
    path: `${path}.values`,
    notPath: `${path}.notValues`,
    values: condition.values,
    notValues: condition.notValues,
  });
}

function bracketedKey(key: string): CreateClause | undefined {
  if (key.startsWith(HEADERS)) {
    const name = bracketed(key.slice(HEADERS.length));
    return name === undefined || name === '' || LINE_BREAK_OR_NUL.test(name) ? malformed(key) : headerClause(name);
  }
  if (key.startsWith(CLAIMS)) {
    const path = claimPath(key.slice(CLAIMS.length));
    return path === undefined ? malformed(key) : claimClause(path);
  }
  return key.startsWith(FILTERS) ? metadataKey(key) : undefined;
}

function malformed(key: string): CreateClause {
  return badKeyClause(`malformed key ${key}`);
}

function metadataKey(key: string): CreateClause {
  const bracket = key.indexOf('[');
  if (bracket === -1) return malformed(key);
  const filter = key.slice(METADATA.length, bracket);
  if (RESULTS.test(filter)) return badKeyClause(`${key} asks for results of ${filter}, which only Envoy keeps`);
  const name = key.slice(bracket + 1);
  return metadataClause(filter, name.endsWith(']') ? name.slice(0, -1) : name);
}

/** `[name]` to `name`. */
function bracketed(text: string): string | undefined {
  return text.length >= 2 && text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : undefined;
}

/** `[a][b]` to `a`, `b`; if a name contains a bracket, everything between the first and the last bracket is one name. */
function claimPath(text: string): readonly string[] | undefined {
  const whole = bracketed(text);
  if (whole === undefined) return undefined;
  const names = whole.split('][');
  const path = names.some((name) => name.includes('[') || name.includes(']')) ? [whole] : names;
  return path.includes('') ? undefined : path;
}
