/*
 * Requests of an access log: they lack headers, the query and every claim but issuer and subject. Says what their decision may depend on
 * among these, by evaluating rules in three values.
 */
import { factsOf } from '../filters/request-facts.ts';
import type { RawRequest } from '../http/heads.ts';
import { prepareRequest } from '../http/normalize/prepare.ts';
import { type CompiledClause, type CompiledRule, compileRules } from '../policy/decide/compile-rules.ts';
import type { Claims, RequestFacts } from '../policy/facts.ts';
import type { Clause, JwtProvider, Program, Rule } from '../policy/model/program.ts';
import type { GeneratedClaims } from './generate/generated-request.ts';

/** What is known of a logged request. */
export interface KnownRequest {
  /** Without a token. */
  readonly request: RawRequest;
  /** Issuer and subject of its verified token; `none`: it had no token that a JWT rule looks at. */
  readonly token: GeneratedClaims | 'none' | 'unknown';
  /** Lower-case names of headers that are known although no line has them. */
  readonly headers?: ReadonlySet<string>;
  /** All claims are known. */
  readonly hasAllClaims?: boolean;
  /** The address of the workload is known. */
  readonly hasDestination?: boolean;
}

const PSEUDO: ReadonlySet<string> = new Set(['host', ':authority', ':method']);

/** Issuer and subject of a logged principal, and the JWT rule of the issuer; undefined: no rule has an issuer that it begins with. */
export function splitPrincipal(
  principal: string,
  providers: readonly JwtProvider[],
): { readonly claims: { readonly iss: string; readonly sub: string }; readonly provider: JwtProvider } | undefined {
  const [provider] = providers
    .filter(({ issuer }) => issuer !== '' && principal.startsWith(`${issuer}/`))
    .toSorted((one, other) => other.issuer.length - one.issuer.length);
  if (provider === undefined) return undefined;
  return { claims: { iss: provider.issuer, sub: principal.slice(provider.issuer.length + 1) }, provider };
}

/** What the decision may depend on and is not known, as policies name it; empty: the decision is known. */
export function unknownInputs(program: Program, given: KnownRequest): readonly string[] {
  // Without JWT rules no policy sees a token.
  const known: KnownRequest = program.providers.length === 0 ? { ...given, token: 'none' } : given;
  const preparation = prepareRequest(known.request, program.pathNormalization);
  if (preparation.kind === 'reply') return [];
  const { token } = known;
  const claims = typeof token === 'string' ? undefined : (token as Claims);
  const facts = factsOf(preparation.prepared, known.request.connection, claims);
  const { custom, deny, allow } = program.http;
  const customUnknown = custom.flatMap(({ rules }) => evaluate(rules, facts, undefined, known).unknown);
  if (token === 'unknown') return unique([...customUnknown, 'the token']);
  const denying = evaluate(deny.rules, facts, claims, known);
  if (denying.matched) return unique(customUnknown);
  const allowing = allow.attached ? evaluate(allow.rules, facts, claims, known) : { matched: true, unknown: [] };
  if (!allowing.matched && allowing.unknown.length === 0) return unique(customUnknown);
  return unique([...customUnknown, ...denying.unknown, ...(allowing.matched ? [] : allowing.unknown)]);
}

/** Undefined: unknown. */
type Truth = boolean | undefined;

interface Evaluation {
  /** A rule certainly matches. */
  readonly matched: boolean;
  /** Fields of clauses on which it depends whether a rule matches. */
  readonly unknown: readonly string[];
}

function evaluate(rules: readonly Rule[], facts: RequestFacts, claims: Claims | undefined, known: KnownRequest): Evaluation {
  const unknown: string[] = [];
  for (const rule of compileRules(rules)) {
    const truth = truthOf(rule, ({ clause, test }) => (isKnown(clause, known, claims) ? test(facts, claims) : undefined));
    if (truth === true) return { matched: true, unknown: [] };
    if (truth === undefined)
      unknown.push(...clausesOf(rule).flatMap(({ clause }) => (isKnown(clause, known, claims) ? [] : [nameOf(clause)])));
  }
  return { matched: false, unknown };
}

function truthOf({ from, to, when }: CompiledRule, test: (clause: CompiledClause) => Truth): Truth {
  const all = (clauses: readonly CompiledClause[]): Truth => and(clauses.map(test));
  return and([or(from.map(all)), or(to.map(all)), all(when)]);
}

function and(truths: readonly Truth[]): Truth {
  if (truths.includes(false)) return false;
  return truths.includes(undefined) ? undefined : true;
}

function or(truths: readonly Truth[]): Truth {
  if (truths.includes(true)) return true;
  return truths.includes(undefined) ? undefined : false;
}

function clausesOf({ from, to, when }: CompiledRule): readonly CompiledClause[] {
  return [...from.flat(), ...to.flat(), ...when];
}

function isKnown(
  clause: Clause,
  { headers, token, hasAllClaims = false, hasDestination = false }: KnownRequest,
  claims: Claims | undefined,
): boolean {
  switch (clause.attribute) {
    case 'header':
      return PSEUDO.has(clause.name) || headers?.has(clause.name) === true;
    case 'destinationIp':
      return hasDestination;
    case 'requestPrincipal':
      return token !== 'unknown';
    case 'claim':
      // CUSTOM policies see no claims, and neither does any policy without a token.
      return claims === undefined ? token !== 'unknown' : hasAllClaims || ['iss', 'sub'].includes(clause.path.join('.'));
    default:
      return true;
  }
}

function nameOf(clause: Clause): string {
  return clause.attribute === 'requestPrincipal' ? 'the token' : clause.field;
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
