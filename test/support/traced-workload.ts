/*
 * A workload for tests of traces: its bundle, an application that keeps the heads it gets, and what spans say.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import { compileWorkload } from '../../src/compile/compile-workload.ts';
import { type Files, filesOf } from '../unit/agent/bundles.ts';
import { selectFrom } from './select-policies.ts';

/** The workload of the bundle. */
export const TRACED = { namespace: 'shop', kind: 'deployment', name: 'web' } as const;

/** Files of a bundle that denies `/no` by the second rule of `shop/guard`, and allows everything else. */
export function tracedBundle(): Files {
  const { value } = parsePolicy({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'guard', namespace: 'shop' },
    spec: { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/never'] } }] }, { to: [{ operation: { paths: ['/no'] } }] }] },
  });
  if (value === undefined) throw new Error('the policy is invalid');
  const input = {
    workload: TRACED,
    labelSets: [{}],
    policiesFor: selectFrom([value], TRACED.namespace),
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  };
  return filesOf(compileWorkload(input).bundle);
}

/** An application that answers `ok`, and 500 to `/fail`. */
export interface TracedApplication {
  readonly port: number;
  readonly seen: readonly IncomingMessage[];
  readonly stop: () => void;
}

export async function startTracedApplication(): Promise<TracedApplication> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    response.writeHead(request.url === '/fail' ? 500 : 200).end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

type AnyValue = Readonly<Record<string, string | number | boolean>>;
type Attributes = readonly { readonly key: string; readonly value: AnyValue }[];

/** A span as OTLP has it in JSON. */
export interface ExportedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Attributes;
  readonly status?: { readonly code?: number };
}

/** A request to export spans. */
export interface ExportedTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes };
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly ExportedSpan[] }[];
  }[];
}

/** All spans of a request. */
export function spansIn({ resourceSpans }: ExportedTraces): readonly ExportedSpan[] {
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

/** Attributes by name; numbers as text. */
export function attributesIn(attributes: Attributes): Readonly<Record<string, string>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]));
}
