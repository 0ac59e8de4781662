/*
 * The runner without sockets: calls the agent's codec and the filter chain directly, and returns the outcome in the form of the
 * records.
 */

import { trimWhitespace } from '../../src/agent/http1/bytes.ts';
import { CODEC_ERROR } from '../../src/agent/http1/codec-replies.ts';
import type { ConnectionVerdict } from '../../src/filters/evaluate-connection.ts';
import { createFilterChain, type FilterChain } from '../../src/filters/filter-chain.ts';
import type { Verdict } from '../../src/filters/verdict.ts';
import { headerPairs } from '../../src/http/header-list.ts';
import type { RawRequest } from '../../src/http/heads.ts';
import type { Decision } from '../../src/policy/decide/decision.ts';
import { answerCheck, consents } from './authorizer.ts';
import { buildCase } from './build-case.ts';
import type { Observed, RecordedCase, RecordedRequest } from './case-file.ts';
import { readRequest } from './read-request.ts';
import { timeOf, type WayIn } from './way-in.ts';

/** Runs requests without sockets. */
export const libraryWay: WayIn = {
  name: 'library',
  hasFraming: false,
  takes: () => true,
  async open(recorded, built) {
    const filterChain = createFilterChain(built.program, built.bundle.keySets, {
      onBug(error) {
        throw error;
      },
    });
    return {
      send: async (request) => send(filterChain, request, recorded),
      async close() {},
    };
  },
};

/** The outcome of one request of `recorded` without sockets, under the policies of `recorded`. @param isLocal see {@link buildCase} */
export function decide(recorded: RecordedCase, request: RecordedRequest, isLocal = false): Observed {
  const { program, bundle } = buildCase(recorded, isLocal);
  return send(createFilterChain(program, bundle.keySets), request, recorded);
}

function send(filterChain: FilterChain, recorded: RecordedRequest, from: RecordedCase): Observed {
  const observed = recorded.observed ?? { outcome: 'allow' };
  const read = readRequest(recorded, from);
  switch (read.kind) {
    case 'fault': {
      const { status, body, details } = read.fault ?? CODEC_ERROR;
      const isHead = recorded.method === 'HEAD';
      return { outcome: 'reject', status, details, ...(isHead ? {} : { body }), headers: { 'content-type': 'text/plain' } };
    }
    case 'tcp': {
      let verdict = filterChain.evaluateConnection(read.connection);
      const principal = read.connection.peer?.uris[0] ?? '';
      while (verdict.kind === 'check') verdict = verdict.resume(consents(verdict.provider, { method: '', headers: [], principal }));
      return connectionOutcome(verdict);
    }
    case 'http': {
      let final = filterChain.evaluate(read.request, timeOf(recorded));
      while (final.kind === 'check' || final.kind === 'verify') {
        final = final.kind === 'verify' ? final.resume() : resume(final, read.request, observed);
      }
      const outcome = httpOutcome(final);
      // The codec sends no body in a response to HEAD.
      return read.request.method === 'HEAD' ? { ...outcome, body: '' } : outcome;
    }
  }
}

function resume(verdict: Extract<Verdict, { readonly kind: 'check' }>, request: RawRequest, observed: Observed): Verdict {
  const principal = request.connection.peer?.uris[0] ?? '';
  return verdict.resume(answerCheck(verdict.provider, { method: request.method, headers: verdict.request.headers, principal }, observed));
}

function connectionOutcome(verdict: Exclude<ConnectionVerdict, { readonly kind: 'check' }>): Observed {
  const details = verdict.kind === 'deny' && verdict.details !== 'ext_authz_denied' ? { details: verdict.details } : {};
  return { outcome: verdict.kind, ...details, ...dryRun(verdict.decision) };
}

function httpOutcome(verdict: Exclude<Verdict, { readonly kind: 'check' | 'verify' }>): Observed {
  switch (verdict.kind) {
    case 'forward': {
      const { method, target, host, headers } = verdict.head;
      // Whitespace around a value, which a claim may contain, is lost on the wire.
      const fields = headerPairs(headers).map(([name, value]) => [name, trimWhitespace(value, 0, value.length)] as const);
      const upstream = { method, path: target, headers: [['host', host] as const, ...fields] };
      return { outcome: 'allow', status: 200, upstream, ...dryRun(verdict.log.decision) };
    }
    case 'reply': {
      const { status, body, headers, log } = verdict;
      const common = { status, details: log.details, headers: Object.fromEntries(headerPairs(headers)), ...dryRun(log.decision) };
      return { outcome: log.outcome, ...common, ...(body === '' ? {} : { body: Buffer.from(body, 'utf8').toString('latin1') }) };
    }
  }
}

/** Dry-run results under the names in the records. */
export function dryRun(decision: Decision | undefined): { readonly dryRun?: Readonly<Record<string, string>> } {
  const results: Record<string, string> = {};
  for (const name of ['allow', 'deny'] as const) {
    const result = name === 'allow' ? decision?.dryRunAllow : decision?.dryRunDeny;
    if (result === undefined) {
      continue;
    }
    results[`${name}_shadow_engine_result`] = result.allowed ? 'allowed' : 'denied';
    if (result.rule !== undefined) {
      results[`${name}_shadow_effective_policy_id`] = result.rule.id;
    }
  }
  return Object.keys(results).length === 0 ? {} : { dryRun: results };
}
