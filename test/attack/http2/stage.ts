/*
 * Starts the agent as in its image and a real Envoy, each in front of applications that speak HTTP/2 and HTTP/1.1.
 */
import { Pinger } from '../client.ts';
import { type RunningProxy, startAgentProcess, startEnvoyProcess } from '../stage.ts';
import { HTTP2_CASES } from './cases.ts';
import { Http2Lane, type Http2Outcome, RecordingApplication } from './lane.ts';

const LANES_OF_EACH = 3;

/** A proxy with its lanes. */
export interface Http2Proxy {
  readonly lanes: readonly Http2Lane[];
  readonly output: () => string;
  readonly stop: () => Promise<number | null>;
}

export async function startHttp2Envoy(binary: string): Promise<Http2Proxy> {
  return start((applications) => startEnvoyProcess(binary, applications));
}

export async function startHttp2Agent(): Promise<Http2Proxy> {
  return start(startAgentProcess);
}

async function start(run: (applications: readonly RecordingApplication[]) => Promise<RunningProxy>): Promise<Http2Proxy> {
  const kinds = Array.from({ length: LANES_OF_EACH }, () => [true, false]).flat();
  // The last one is for pings.
  const applications = [...kinds, false].map((isHttp2) => new RecordingApplication(isHttp2));
  const proxy = await run(applications);
  const pingers = kinds.map(() => new Pinger(proxy.ports.at(-1) ?? 0));
  return {
    lanes: pingers.map((pinger, at) => new Http2Lane(proxy.ports[at] ?? 0, applications[at] as RecordingApplication, pinger)),
    output: proxy.output,
    stop: async () => {
      for (const pinger of pingers) pinger.close();
      return await proxy.stop();
    },
  };
}

/** What each case did, by the protocol of the application and its name. */
export async function runHttp2Cases({ lanes }: Http2Proxy): Promise<ReadonlyMap<string, Http2Outcome>> {
  const outcomes = new Map<string, Http2Outcome>();
  const work = async (kind: string, own: readonly Http2Lane[]): Promise<void> => {
    let next = 0;
    const take = async (lane: Http2Lane): Promise<void> => {
      for (let item = HTTP2_CASES[next++]; item !== undefined; item = HTTP2_CASES[next++])
        outcomes.set(`${kind} ${item.name}`, await lane.run(item));
    };
    await Promise.all(own.map(take));
  };
  const [modern, old] = [lanes.filter(({ application }) => application.isHttp2), lanes.filter(({ application }) => !application.isHttp2)];
  await Promise.all([work('http2', modern), work('http1', old)]);
  return outcomes;
}
