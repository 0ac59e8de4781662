/*
 * What agents did with the requests of a case, in a file next to its record, and the runner that replays it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Observed, RecordedCase, RecordedRequest } from '../../conformance/case-file.ts';
import { withoutDryRunPolicies } from '../../conformance/compare.ts';
import { hasMeshIdentity } from '../../conformance/mesh-clients.ts';
import type { WayIn } from '../../conformance/way-in.ts';

/** The outcome of a request, why it is missing, or null: it was not sent. */
export type WireOutcome = Observed | { readonly failed: string } | null;

const TRUST_DOMAIN = /^spiffe:\/\/([^/]+)\//;

/** Writes the outcomes of the requests of a case, in their order. */
export function writeWire(directory: string, file: string, outcomes: readonly WireOutcome[]): void {
  writeFileSync(pathOf(directory, file), JSON.stringify(outcomes));
}

/** Whether the client of a request can connect to an agent: a certificate without a SPIFFE ID is refused. */
export function canConnect(request: RecordedRequest): boolean {
  return request.source.principal === undefined || hasMeshIdentity(request);
}

/** The trust domains of the clients of all `cases`, which the recorded Envoy does not check either. */
export function trustDomainsOf(cases: readonly Pick<RecordedCase, 'requests'>[]): readonly string[] {
  const uris = cases.flatMap(({ requests }) => requests.flatMap(({ source }) => source.principal?.split(',') ?? []));
  const domains = new Set(uris.flatMap((uri) => TRUST_DOMAIN.exec(uri)?.[1] ?? []));
  return domains.size === 0 ? ['cluster.local'] : [...domains];
}

/** The agents' outcomes in `directory`. */
export function wireWay(directory: string): WayIn {
  return {
    name: 'wire',
    hasFraming: true,
    takes: canConnect,
    async open({ file, requests }) {
      const outcomes = existsSync(pathOf(directory, file))
        ? (JSON.parse(readFileSync(pathOf(directory, file), 'utf8')) as WireOutcome[])
        : [];
      return {
        async send(request) {
          const outcome = outcomes[requests.indexOf(request)];
          if (outcome === undefined || outcome === null) throw new Error('the agent did not get the request');
          if ('failed' in outcome) throw new Error(outcome.failed);
          return outcome;
        },
        async close() {},
      };
    },
  };
}

/** The case without what no access log of an agent says: which dry-run rule decided. */
export function asSeenOnTheWire(recorded: RecordedCase): RecordedCase {
  const requests = recorded.requests.map((request): RecordedRequest => {
    if (request.observed === undefined) return request;
    return { ...request, isSeenOnTheWire: true, observed: withoutDryRunPolicies(request.observed) };
  });
  return { ...recorded, requests };
}

function pathOf(directory: string, file: string): string {
  return join(directory, `${file}.wire`);
}
