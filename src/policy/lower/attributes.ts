/*
 * Creates the clause of each attribute. `from`, `to` and `when` offer the same attributes under different names and share these
 * functions.
 */
import { formatIpBlock, parseIpBlock } from '../match/ip-block.ts';
import { effectiveTemplate, isPathTemplate, parsePathTemplate } from '../match/path-template.ts';
import { parseRequestPrincipal } from '../match/request-principal.ts';
import { parseStringMatch } from '../match/string-match.ts';
import type { IdentityMatch, PathMatch, StringMatch } from '../model/program.ts';
import {
  type BadValue,
  clauseOf,
  dropField,
  dropOnTcp,
  type FieldValues,
  type Lowered,
  type ReadValue,
  type RuleContext,
  readLists,
} from './lowering.ts';
import { expandPrincipal, expandTrustDomain } from './trust-domains.ts';

const MAX_PORT = 65535;
/** Longest path template that Envoy accepts, in characters without braces. */
const MAX_TEMPLATE = 256;
const SPIFFE = 'spiffe://';

/** Creates the clause of one attribute, or drops the field or rule. `field` is its name in the policy, shown in traces. */
export type CreateClause = (context: RuleContext, field: string, values: FieldValues) => Lowered;

const readString: ReadValue<StringMatch> = (value) => [parseStringMatch(value)];

function bad(code: BadValue['code'], message: string): BadValue {
  return { code, message };
}

/** The clause for `hosts`, `methods` or `connection.sni`. */
export function stringClause(attribute: 'host' | 'method' | 'sni'): CreateClause {
  return (context, field, values) => {
    const lost = attribute === 'sni' ? undefined : dropOnTcp(context, values);
    return lost ?? clauseOf(readLists(context, values, readString), (lists) => ({ attribute, field, ...lists }));
  };
}

const readPath: ReadValue<PathMatch> = (value) => {
  if (!isPathTemplate(value)) return [parseStringMatch(value)];
  const template = effectiveTemplate(value);
  // Envoy may interpret it as a regular expression.
  if (parsePathTemplate(template) === undefined || template.replaceAll('{**}', '**').replaceAll('{*}', '*').length > MAX_TEMPLATE) {
    return { ...bad('SP_PATH', `invalid or unsupported path template ${value}`), mayMatch: true };
  }
  return [{ kind: 'template', value: template }];
};

/** The clause for `paths`. */
export const pathClause: CreateClause = (context, field, values) =>
  dropOnTcp(context, values) ?? clauseOf(readLists(context, values, readPath), (lists) => ({ attribute: 'path', field, ...lists }));

const readBlock: ReadValue<string> = (value) => {
  const block = parseIpBlock(value);
  return block === undefined ? bad('SP_VALUE', `bad IP address or CIDR range (${value})`) : [formatIpBlock(block)];
};

/** The clause for `ipBlocks`, `remoteIpBlocks` or `destination.ip`. */
export function addressClause(attribute: 'sourceIp' | 'remoteIp' | 'destinationIp'): CreateClause {
  return (context, field, values) => clauseOf(readLists(context, values, readBlock), (lists) => ({ attribute, field, ...lists }));
}

const readPort: ReadValue<number> = (value) => {
  const port = /^[0-9]+$/.test(value) ? Number(value) : MAX_PORT + 1;
  return port > MAX_PORT ? bad('SP_VALUE', `bad port (${value})`) : [port];
};

/** The clause for `ports` or `destination.port`. */
export const portClause: CreateClause = (context, field, values) =>
  clauseOf(readLists(context, values, readPort), (lists) => ({ attribute: 'destinationPort', field, ...lists }));

function peerClause(read: (context: RuleContext) => ReadValue<IdentityMatch>): CreateClause {
  return (context, field, values) =>
    clauseOf(readLists(context, values, read(context)), (lists) => ({ attribute: 'peer', field, ...lists }));
}

function principalMatch(value: string): IdentityMatch {
  const match = parseStringMatch(value);
  if (match.kind === 'present') return match;
  return match.kind === 'suffix' ? { kind: 'spiffeSuffix', value: match.value } : { kind: match.kind, value: SPIFFE + match.value };
}

/** The clause for `principals` or `source.principal`. */
export const principalClause: CreateClause = peerClause(
  (context) => (value) => expandPrincipal(value, context.trustDomains).map(principalMatch),
);

/** The clause for `namespaces` or `source.namespace`. */
export const namespaceClause: CreateClause = peerClause(() => (value) => [{ kind: 'namespace', pattern: value }]);

/** The clause for `serviceAccounts` or `source.serviceAccount`; `name` alone refers to the policy's own namespace. */
export const serviceAccountClause: CreateClause = peerClause((context) => (value) => {
  const slash = value.indexOf('/');
  const namespace = slash === -1 ? context.namespace : value.slice(0, slash);
  return [{ kind: 'serviceAccount', namespace, name: value.slice(slash + 1) }];
});

/** The first `*` matches any characters of the trust domain; everything after it is literal. */
function trustDomainMatch(value: string): IdentityMatch {
  if (value === '*') return { kind: 'prefix', value: SPIFFE };
  const star = value.indexOf('*');
  if (star === -1) return { kind: 'prefix', value: `${SPIFFE}${value}/` };
  return { kind: 'trustDomain', prefix: value.slice(0, star), suffix: value.slice(star + 1) };
}

/** The clause for `trustDomains` or `source.trustDomain`. */
export const trustDomainClause: CreateClause = peerClause(
  (context) => (value) => expandTrustDomain(value, context.trustDomains).map(trustDomainMatch),
);

/** The clause for `requestPrincipals` or `request.auth.principal`. */
export const requestPrincipalClause: CreateClause = (context, field, values) =>
  dropOnTcp(context, values) ??
  clauseOf(
    readLists(context, values, (value) => [parseRequestPrincipal(value)]),
    (lists) => ({ attribute: 'requestPrincipal', field, ...lists }),
  );

/** The clause for `request.auth.claims[…]`, `request.auth.audiences` or `request.auth.presenter`. `path` is never empty. */
export function claimClause(path: readonly string[]): CreateClause {
  return (context, field, values) =>
    dropOnTcp(context, values) ??
    clauseOf(readLists(context, values, readString), (lists) => ({ attribute: 'claim', field, path, ...lists }));
}

/** The clause for `request.headers[name]`. */
export function headerClause(name: string): CreateClause {
  return (context, field, values) =>
    dropOnTcp(context, values) ??
    clauseOf(readLists(context, values, readString), (lists) => ({ attribute: 'header', field, name: name.toLowerCase(), ...lists }));
}

function isBracketed(value: string): boolean {
  return value.startsWith('[') && value.endsWith(']');
}

/** The clause for `experimental.envoy.filters.<filter>[<key>]`; values in brackets match an element of an array. */
export function metadataClause(filter: string, key: string): CreateClause {
  return (context, field, values) => {
    const all = [...(values.values ?? []), ...(values.notValues ?? [])];
    const list = all.every(isBracketed);
    const read: ReadValue<StringMatch> = (value) => [parseStringMatch(list ? value.slice(1, -1) : value)];
    return clauseOf(readLists(context, values, read), (lists) => ({ attribute: 'metadata', field, filter, path: [key], list, ...lists }));
  };
}

/** For a key that has no clause, e.g. `request.headersX[a]`: every value of it is invalid. */
export function badKeyClause(fault: string): CreateClause {
  return (context, _field, values) => {
    const path = values.path.slice(0, values.path.lastIndexOf('.'));
    context.report('SP_WHEN', `${path}.key`, fault);
    return dropField(context, values);
  };
}
