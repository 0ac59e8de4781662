/*
 * Short forms of programs and facts for the tests of this directory.
 */

import type { ConnectionFacts, Json, RequestFacts } from '../../../../src/policy/facts.ts';
import type { Clause, Engine, Program, Rule, Ruleset } from '../../../../src/policy/model/program.ts';
import type { TokenNotes } from '../../../../src/policy/token-notes.ts';

const NO_ENGINE: Engine = { attached: false, rules: [] };

export function ruleset(over: Partial<Ruleset> = {}): Ruleset {
  return { custom: [], audit: NO_ENGINE, deny: NO_ENGINE, allow: NO_ENGINE, dryRunDeny: NO_ENGINE, dryRunAllow: NO_ENGINE, ...over };
}

export function programOf(http: Partial<Ruleset>, tcp: Partial<Ruleset> = {}): Program {
  return { pathNormalization: 'BASE', trustedProxies: [], providers: [], http: ruleset(http), tcp: ruleset(tcp) };
}

export function engine(...rules: readonly Rule[]): Engine {
  return { attached: true, rules };
}

export function rule(name: string, parts: Partial<Pick<Rule, 'from' | 'to' | 'when'>> = {}): Rule {
  return {
    id: `ns[foo]-policy[${name}]-rule[0]`,
    source: { kind: 'AuthorizationPolicy', namespace: 'foo', name, generation: 1, rule: 0 },
    from: [[]],
    to: [[]],
    when: [],
    ...parts,
  };
}

export function whenRule(...when: readonly Clause[]): Rule {
  return rule('when', { when });
}

export interface FactsOver {
  readonly method?: string;
  readonly host?: string;
  readonly pathWithQuery?: string;
  readonly remoteIp?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly claims?: { readonly [key: string]: Json };
  readonly notes?: TokenNotes;
  readonly connection?: Partial<ConnectionFacts>;
}

function isPseudoHeader(name: string): boolean {
  return name === 'host' || name.startsWith(':');
}

export function factsWith(over: FactsOver = {}): RequestFacts {
  const pathWithQuery = over.pathWithQuery ?? '/p?q';
  return {
    connection: { sourceIp: '10.0.0.9', destinationIp: '10.1.1.1', destinationPort: 8080, sni: '', tls: false, ...over.connection },
    method: over.method ?? 'GET',
    host: over.host ?? 'h',
    pathWithQuery,
    path: pathWithQuery.split('?')[0] ?? '',
    remoteIp: over.remoteIp ?? '1.2.3.4',
    headerValues: (name) => over.headers?.[name] ?? [],
    headerList: Object.entries(over.headers ?? {}).flatMap(([name, all]) =>
      isPseudoHeader(name) ? [] : all.flatMap((value) => [name, value]),
    ),
    ...(over.claims !== undefined && { claims: over.claims }),
    ...(over.notes !== undefined && { notes: over.notes }),
  };
}
