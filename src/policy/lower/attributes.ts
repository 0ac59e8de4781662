/*
 * One maker of clauses per attribute, shared by `from`, `to` and `when`, which offer the same attributes under different
 * names. In: a field with its values. Out: its clause, or how it is dropped. Used by the files beside this one.
 */
import { formatIpBlock, parseIpBlock } from '../match/ip-block.ts';
import { isPathTemplate, meantTemplate, parsePathTemplate } from '../match/path-template.ts';
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
const SPIFFE = 'spiffe://';

/** Makes the clause of one attribute for one field named `field` in the trace. */
export type MakeClause = (context: RuleContext, field: string, values: FieldValues) => Lowered;

const readString: ReadValue<StringMatch> = (value) => [parseStringMatch(value)];

function bad(code: BadValue['code'], message: string): BadValue {
  return { code, message };
}

/** `hosts`, `methods`, `connection.sni`. */
export function stringClause(attribute: 'host' | 'method' | 'sni'): MakeClause {
  return (context, field, values) => {
    const lost = attribute === 'sni' ? undefined : dropOnTcp(context, values);
    return lost ?? clauseOf(readLists(context, values, readString), (lists) => ({ attribute, field, ...lists }));
  };
}

const readPath: ReadValue<PathMatch> = (value) => {
  if (!isPathTemplate(value)) return [parseStringMatch(value)];
  const template = meantTemplate(value);
  // Envoy may read it as a regular expression.
  if (parsePathTemplate(template) === undefined) {
    return { ...bad('SP_PATH', `invalid or unsupported path template ${value}`), mayMatch: true };
  }
  return [{ kind: 'template', value: template }];
};

/** `paths`. */
export const pathClause: MakeClause = (context, field, values) =>
  dropOnTcp(context, values) ?? clauseOf(readLists(context, values, readPath), (lists) => ({ attribute: 'path', field, ...lists }));

const readBlock: ReadValue<string> = (value) => {
  const block = parseIpBlock(value);
  return block === undefined ? bad('SP_VALUE', `bad IP address or CIDR range (${value})`) : [formatIpBlock(block)];
};

/** `ipBlocks`, `remoteIpBlocks`, `destination.ip`. */
export function addressClause(attribute: 'sourceIp' | 'remoteIp' | 'destinationIp'): MakeClause {
  return (context, field, values) => clauseOf(readLists(context, values, readBlock), (lists) => ({ attribute, field, ...lists }));
}

const readPort: ReadValue<number> = (value) => {
  const port = /^[0-9]+$/.test(value) ? Number(value) : MAX_PORT + 1;
  return port > MAX_PORT ? bad('SP_VALUE', `bad port (${value})`) : [port];
};

/** `ports`, `destination.port`. */
export const portClause: MakeClause = (context, field, values) =>
  clauseOf(readLists(context, values, readPort), (lists) => ({ attribute: 'destinationPort', field, ...lists }));

function peerClause(read: (context: RuleContext) => ReadValue<IdentityMatch>): MakeClause {
  return (context, field, values) =>
    clauseOf(readLists(context, values, read(context)), (lists) => ({ attribute: 'peer', field, ...lists }));
}

function principalMatch(value: string): IdentityMatch {
  const match = parseStringMatch(value);
  if (match.kind === 'present') return match;
  return match.kind === 'suffix' ? { kind: 'spiffeSuffix', value: match.value } : { kind: match.kind, value: SPIFFE + match.value };
}

/** `principals`, `source.principal`. */
export const principalClause: MakeClause = peerClause(
  (context) => (value) => expandPrincipal(value, context.trustDomains).map(principalMatch),
);

/** `namespaces`, `source.namespace`. */
export const namespaceClause: MakeClause = peerClause(() => (value) => [{ kind: 'namespace', pattern: value }]);

/** `serviceAccounts`, `source.serviceAccount`: `name` alone is meant in the policy's own namespace. */
export const serviceAccountClause: MakeClause = peerClause((context) => (value) => {
  const slash = value.indexOf('/');
  const namespace = slash === -1 ? context.namespace : value.slice(0, slash);
  return [{ kind: 'serviceAccount', namespace, name: value.slice(slash + 1) }];
});

/** The first star stands for any characters of the trust domain; behind it all is literal. */
function trustDomainMatch(value: string): IdentityMatch {
  if (value === '*') return { kind: 'prefix', value: SPIFFE };
  const star = value.indexOf('*');
  if (star === -1) return { kind: 'prefix', value: `${SPIFFE}${value}/` };
  return { kind: 'trustDomain', prefix: value.slice(0, star), suffix: value.slice(star + 1) };
}

/** `trustDomains`, `source.trustDomain`. */
export const trustDomainClause: MakeClause = peerClause(
  (context) => (value) => expandTrustDomain(value, context.trustDomains).map(trustDomainMatch),
);

/** `requestPrincipals`, `request.auth.principal`. */
export const requestPrincipalClause: MakeClause = (context, field, values) =>
  dropOnTcp(context, values) ??
  clauseOf(
    readLists(context, values, (value) => [parseRequestPrincipal(value)]),
    (lists) => ({ attribute: 'requestPrincipal', field, ...lists }),
  );

/** `request.auth.claims[…]`, `request.auth.audiences`, `request.auth.presenter`. `path` is never empty. */
export function claimClause(path: readonly string[]): MakeClause {
  return (context, field, values) =>
    dropOnTcp(context, values) ??
    clauseOf(readLists(context, values, readString), (lists) => ({ attribute: 'claim', field, path, ...lists }));
}

/** `request.headers[name]`. */
export function headerClause(name: string): MakeClause {
  return (context, field, values) =>
    dropOnTcp(context, values) ??
    clauseOf(readLists(context, values, readString), (lists) => ({ attribute: 'header', field, name: name.toLowerCase(), ...lists }));
}

function isBracketed(value: string): boolean {
  return value.startsWith('[') && value.endsWith(']');
}

/** `experimental.envoy.filters.<filter>[<key>]`; values in brackets ask for an element of a list. */
export function metadataClause(filter: string, key: string): MakeClause {
  return (context, field, values) => {
    const all = [...(values.values ?? []), ...(values.notValues ?? [])];
    const list = all.every(isBracketed);
    const read: ReadValue<StringMatch> = (value) => [parseStringMatch(list ? value.slice(1, -1) : value)];
    return clauseOf(readLists(context, values, read), (lists) => ({ attribute: 'metadata', field, filter, path: [key], list, ...lists }));
  };
}

/** A key that no clause can be made of, e.g. `request.headersX[a]`: every value of it is bad. */
export function badKeyClause(fault: string): MakeClause {
  return (context, _field, values) => {
    const path = values.path.slice(0, values.path.lastIndexOf('.'));
    context.report('SP_WHEN', `${path}.key`, fault);
    return dropField(context, values);
  };
}
