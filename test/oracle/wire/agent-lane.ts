/*
 * Sends recorded requests to built agents, one after the other: the bytes, addresses and certificates are those that Envoy got. An agent has what
 * its ports speak from its environment, so that a lane has an agent for each combination, and gives it the bundle of the case.
 */
import type { ExtensionProvider } from '../../../src/api/mesh-config.ts';
import type { Bundle } from '../../../src/bundle/bundle.ts';
import type { CustomStep, Program, Ruleset } from '../../../src/policy/model/program.ts';
import { NO_SUCH_SERVICE } from '../../conformance/authorizer.ts';
import { buildCase } from '../../conformance/build-case.ts';
import type { Observed, RecordedCase, RecordedRequest, RecordedWorkload } from '../../conformance/case-file.ts';
import { timeOf } from '../../conformance/way-in.ts';
import { type Answer, type ClientIdentity, exchange, PortTaken } from '../client.ts';
import { SIGHTING, told, type Upstream } from '../upstream.ts';
import { type AgentLine, AgentProcess, type AgentSettings, bundleDirectory } from './agent-process.ts';
import { type Slot, slotOf } from './redirect.ts';

/** Agents of one lane at a time. */
export const AGENTS_OF_LANE = 3;

/** What all lanes share. */
export interface LaneSurroundings extends Omit<AgentSettings, 'directory' | 'protocols'> {
  /** Directory for bundles. */
  readonly work: string;
  readonly upstream: Upstream;
  readonly authorizerPorts: { readonly http: number; readonly grpc: number };
}

/** One request at a time. */
export class AgentLane {
  readonly slots: readonly Slot[];
  readonly #around: LaneSurroundings;
  /** By what their ports speak; the one that was used last is the last. */
  readonly #agents = new Map<string, AgentProcess>();
  readonly #nextSource = new Map<Slot, number>();
  #recorded: Omit<RecordedCase, 'istio'> | undefined;
  #bundle: Bundle | undefined;

  constructor(index: number, around: LaneSurroundings) {
    this.slots = Array.from({ length: AGENTS_OF_LANE }, (_, at) => slotOf(index * AGENTS_OF_LANE + at));
    this.#around = around;
  }

  /** What the agent does with a request of a case. */
  async observe(request: RecordedRequest, recorded: Omit<RecordedCase, 'istio'>, identity: ClientIdentity | undefined): Promise<Observed> {
    if (this.#recorded !== recorded) {
      this.#recorded = recorded;
      this.#bundle = this.#bundleOf({ ...recorded, istio: {} });
    }
    const agent = await this.#agentFor(protocolsOf(request, recorded.workload), this.#bundle as Bundle);
    const { protocol = 'http' } = recorded.workload.ports.find(({ number }) => number === request.port) ?? {};
    const target = { ip: recorded.workload.ip, port: request.port, protocol };
    if (this.#around.hasOwnClock) await agent.setClock(timeOf(request) * 1000);
    const sinceMs = Date.now();
    const { answer } = await this.#exchange(agent.slot, request, target, identity);
    if (answer.kind === 'http') {
      const line = await agent.line(request.source.ip, sinceMs, (one) => one['http.response.status_code'] === answer.status);
      return httpObserved(answer, line, this.#around.upstream);
    }
    const line = await agent.line(request.source.ip, sinceMs, ({ message }) => message === 'connection');
    return connectionObserved(answer, line);
  }

  async close(): Promise<void> {
    for (const agent of this.#agents.values()) await agent.stop();
    this.#agents.clear();
  }

  async #exchange(slot: Slot, ...[request, target, identity]: [...Parameters<typeof exchange>]): ReturnType<typeof exchange> {
    for (;;) {
      const port = this.#nextSource.get(slot) ?? slot.firstSource;
      this.#nextSource.set(slot, port === slot.lastSource ? slot.firstSource : port + 1);
      try {
        return await exchange(request, target, identity, port);
      } catch (error) {
        if (!(error instanceof PortTaken)) throw error;
      }
    }
  }

  async #agentFor(protocols: string, bundle: Bundle): Promise<AgentProcess> {
    const known = this.#agents.get(protocols);
    this.#agents.delete(protocols);
    if (known !== undefined) {
      this.#agents.set(protocols, known);
      await known.enforce(bundle);
      return known;
    }
    const [oldest] = this.#agents;
    if (oldest !== undefined && this.#agents.size === AGENTS_OF_LANE) {
      this.#agents.delete(oldest[0]);
      await oldest[1].stop();
    }
    const used = new Set([...this.#agents.values()].map(({ slot }) => slot));
    const slot = this.slots.find((one) => !used.has(one)) as Slot;
    const directory = bundleDirectory(this.#around.work, slot.index);
    const started = await AgentProcess.start(slot, { ...this.#around, directory, protocols }, bundle);
    this.#agents.set(protocols, started);
    return started;
  }

  /** The bundle of the workload's pod. External authorizers are where Envoy's are. */
  #bundleOf(recorded: RecordedCase): Bundle {
    const { bundle, program } = buildCase(recorded);
    const { authorizerPorts: ports } = this.#around;
    const here = (provider: ExtensionProvider): ExtensionProvider => {
      if (provider.service.startsWith(NO_SUCH_SERVICE)) return { ...provider, service: 'authz/no-such.invalid' };
      return { ...provider, service: 'authz/127.0.0.1', port: ports[provider.protocol] };
    };
    const stepHere = (step: CustomStep): CustomStep => (step.provider === undefined ? step : { ...step, provider: here(step.provider) });
    const rulesHere = (rules: Ruleset): Ruleset => ({ ...rules, custom: rules.custom.map(stepHere) });
    const moved: Program = { ...program, http: rulesHere(program.http), tcp: rulesHere(program.tcp) };
    return { ...bundle, relevantLabels: [], variants: [{ labels: {}, program: 0 }], programs: [moved] };
  }
}

/** What the ports of the workload speak, as injection derives it from its Service. */
export function protocolsOfWorkload({ ports }: RecordedWorkload): string {
  return ports
    .filter(({ undeclared }) => undeclared !== true)
    .map(({ number, protocol }) => `${number}:${protocol === 'tcp' ? 'tcp' : 'http1'}`)
    .sort()
    .join();
}

/**
 * The same for one request. The application speaks HTTP/1.1, as behind Envoy, also on a port without a Service, where both would ask it in HTTP/2 for
 * a client that does.
 */
function protocolsOf({ port, http2 }: RecordedRequest, { ports, ...workload }: RecordedWorkload): string {
  const known = ports.map(({ undeclared = false, ...entry }) => ({
    ...entry,
    undeclared: undeclared && !(http2 === true && entry.number === port && entry.protocol !== 'tcp'),
  }));
  return protocolsOfWorkload({ ...workload, ports: known });
}

function httpObserved({ status, headers, body }: Extract<Answer, { kind: 'http' }>, line: AgentLine, upstream: Upstream): Observed {
  const common = { status, ...dryRunOf(line) };
  const sighting = headers.find(([name]) => name === SIGHTING)?.[1];
  if ((sighting !== undefined) !== (line.decision === 'allow' && line.details === '')) {
    throw new Error(`the access log and the application differ: ${JSON.stringify(line)}`);
  }
  if (sighting !== undefined) {
    const seen = upstream.sighting(sighting);
    return { outcome: 'allow', ...common, ...(seen === undefined ? {} : { upstream: told(seen) }) };
  }
  return {
    outcome: line.decision === 'deny' || line.decision === 'unauthenticated' ? line.decision : 'reject',
    ...common,
    ...(line.details === '' ? {} : { details: line.details }),
    headers: Object.fromEntries(headers),
    ...(body === '' ? {} : { body }),
  };
}

function connectionObserved(answer: Exclude<Answer, { kind: 'http' }>, line: AgentLine): Observed {
  const isAllowed = line.decision === 'allow' && line.details === '';
  if ((answer.kind === 'tcp') !== isAllowed) throw new Error(`the access log and the client differ: ${JSON.stringify(line)}`);
  if (isAllowed) return { outcome: 'allow', ...dryRunOf(line) };
  if (line.decision !== 'deny') return { outcome: 'refused' };
  // Envoy's record has no details of a connection that an external authorizer denied.
  const details = line.details === 'ext_authz_denied' ? {} : { details: line.details };
  return { outcome: 'deny', ...details, ...dryRunOf(line) };
}

/** The access log has the results of dry runs, not the rules that decided. */
function dryRunOf(line: AgentLine): Pick<Observed, 'dryRun'> {
  const { 'dry_run.allow': allow, 'dry_run.deny': deny } = line;
  const results = {
    ...(allow === undefined ? {} : { allow_shadow_engine_result: allow ? 'allowed' : 'denied' }),
    ...(deny === undefined ? {} : { deny_shadow_engine_result: deny ? 'denied' : 'allowed' }),
  };
  return Object.keys(results).length === 0 ? {} : { dryRun: results };
}
