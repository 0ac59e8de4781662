/*
 * Workloads as people write them get an agent and work behind it: all of `support/workloads.yaml`, with a stand-in for their programs, first without a
 * policy, then with one that allows nothing. What cannot have an agent, or has ports that the agent does not see, is named.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { formatTable } from '../../src/cli/output/table.ts';
import { issue } from '../support/certificates.ts';
import { cleanUp } from './support/clean-up.ts';
import { eventually } from './support/eventually.ts';
import { taskImages } from './support/images.ts';
import { printed } from './support/printed.ts';
import { sharedNode } from './support/shared-node.ts';
import type { Shell } from './support/shell.ts';
import { stopAtFailure } from './support/steps.ts';

type Fields = Record<string, unknown>;
type Protocol = 'http' | 'https' | 'grpc' | 'tcp' | 'greets' | 'udp';

/** What a port answers when nothing is denied, and when everything is. */
const ANSWERS: Readonly<Record<Exclude<Protocol, 'udp'>, readonly [open: string, denied: string]>> = {
  http: ['200', '403'],
  https: ['200', 'closed'],
  grpc: ['grpc-status 0', 'grpc-status 7'],
  tcp: ['echo', 'closed'],
  greets: ['220', 'closed'],
};
/** Ports of programs that no manifest names. */
const UNDECLARED: Readonly<Record<string, Readonly<Record<number, Protocol>>>> = {
  '12b-scrape-undeclared': { 9090: 'http' },
  '18-no-ports': { 3000: 'http' },
  '22-istio-meta': { 9000: 'http' },
  '24-probe-undeclared': { 9999: 'http' },
};
/** Reachable in spite of the policy, as the annotations of the workload say. */
const BYPASSES: readonly string[] = ['22-istio-meta:9000'];
/** Listens on the loopback address only: no other pod reaches it, with or without an agent. */
const LOOPBACK = '14-localhost-only';
/** Cannot have an agent, or cannot start with one, and why. */
const WITHOUT_AGENT: Readonly<Record<string, RegExp>> = {
  '08-ds-hostnetwork': /host network/,
  '20-port-15020': /port 15020 is reserved/,
};
/** Works, and an event on the pod says what the agent does not see. */
const WARNED: Readonly<Record<string, RegExp>> = {
  '13b-cassandra': /tls-intra-node/,
  '15-tls-port': /indicates https/,
  '19-udp-tcp-same': /UDP port 53/,
  '22-istio-meta': /only ports 8080 are captured/,
};

interface Workload {
  readonly name: string;
  readonly app: string;
  readonly isJob: boolean;
  readonly ports: readonly (readonly [port: number, protocol: Exclude<Protocol, 'udp'>])[];
  readonly manifest: string;
}

const fieldsOf = (value: unknown): Fields => (value ?? {}) as Fields;
const listOf = (value: unknown): readonly Fields[] => (value ?? []) as readonly Fields[];

function protocolOf({ name = '', containerPort, protocol }: Fields): Protocol {
  const port = Number(containerPort);
  if (protocol === 'UDP') return 'udp';
  if (port === 3306 || port === 25) return 'greets';
  if (port === 8443 || port === 9443) return 'https';
  if (port === 50_051) return 'grpc';
  if (/^(?:http|management|metrics)/.test(String(name)) || (name === '' && [8080, 9090, 9100, 9880, 15_020].includes(port))) return 'http';
  return 'tcp';
}

/** The container with the stand-in's image. */
function standIn(
  container: Fields,
  more: Readonly<Record<number, Protocol>>,
  isTask: boolean,
  tls: Fields,
  host: string | undefined,
): Fields {
  const ports = Object.fromEntries(listOf(container['ports']).map((port) => [String(port['containerPort']), protocolOf(port)]));
  const env = {
    PORTS: JSON.stringify({ ...ports, ...more }),
    ...(isTask && { EXITS: 'yes' }),
    ...(host !== undefined && { HOST: host }),
    ...tls,
  };
  return {
    ...container,
    image: taskImages.standIn,
    imagePullPolicy: 'Never',
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
  };
}

function readWorkloads(tls: Fields): readonly Workload[] {
  const text = readFileSync(join(import.meta.dirname, 'support/workloads.yaml'), 'utf8');
  return parseAllDocuments(text).map((document) => {
    const name = (document.contents?.commentBefore ?? '').trim();
    const object = document.toJS() as Fields;
    const job = object['kind'] === 'CronJob' ? fieldsOf(fieldsOf(object['spec'])['jobTemplate']) : object;
    const template = fieldsOf(fieldsOf(job['spec'])['template']);
    const spec = fieldsOf(template['spec']);
    const isJob = String(object['kind']).endsWith('Job');
    const more = UNDECLARED[name] ?? {};
    const host = name === LOOPBACK ? '127.0.0.1' : undefined;
    const containers = listOf(spec['containers']).map((one, nth) => standIn(one, nth === 0 ? more : {}, isJob, tls, host));
    const inits = listOf(spec['initContainers']).map((one) => standIn(one, {}, one['restartPolicy'] !== 'Always', tls, undefined));
    Object.assign(spec, { containers, terminationGracePeriodSeconds: 1, ...(inits.length > 0 && { initContainers: inits }) });
    const served = [...containers, ...inits].flatMap((one) =>
      Object.entries(JSON.parse(String(listOf(one['env'])[0]?.['value'])) as Record<string, Protocol>),
    );
    const ports = served.flatMap(([port, protocol]) => (protocol === 'udp' ? [] : [[Number(port), protocol] as const]));
    const app = String(fieldsOf(fieldsOf(template['metadata'])['labels'])['app']);
    return { name, app, isJob, ports, manifest: JSON.stringify(object) };
  });
}

describe('workloads as people write them', () => {
  let shell: Shell;
  let workloads: readonly Workload[] = [];
  const addresses = new Map<string, string>();
  const answers = { open: new Map<string, string>(), denied: new Map<string, string>() };
  const run = (command: string): Promise<string> => shell.run(command);
  const served = (): readonly Workload[] => workloads.filter(({ name, isJob }) => !isJob && WITHOUT_AGENT[name] === undefined);
  const keyOf = ({ name }: Workload, port: number): string => `${name}:${port}`;

  before(async function () {
    this.timeout(300_000);
    const { certPem, keyPem } = await issue(undefined, { dnsNames: ['stand-in'] });
    workloads = readWorkloads({ TLS_CERT: certPem, TLS_KEY: keyPem });
    ({ shell } = await sharedNode());
    await cleanUp(shell);
    await run('helm install sallyport charts/sallyport --namespace sallyport-system --create-namespace --wait --timeout 60s');
    await run('kubectl create namespace foo');
    await run('kubectl label namespace foo sallyport.dev/injection=enabled');
    await run('kubectl create namespace keys');
    await shell.apply(`
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: keys }
spec: { terminationGracePeriodSeconds: 1, containers: [{ name: client, image: "${taskImages.standIn}", imagePullPolicy: Never }] }`);
  });

  stopAtFailure(() => shell);

  after(async function () {
    this.timeout(180_000);
    const rows = workloads.flatMap((one) => {
      const verdict = WITHOUT_AGENT[one.name] !== undefined ? 'no agent' : WARNED[one.name] !== undefined ? 'works, warned' : 'works';
      const ports = one.ports.map(([port, protocol]) => [
        `${port} ${protocol}`,
        answers.open.get(keyOf(one, port)) ?? '',
        answers.denied.get(keyOf(one, port)) ?? '',
      ]);
      return (ports.length === 0 ? [['', '', '']] : ports).map((cells, nth) => [
        nth === 0 ? one.name : '',
        nth === 0 ? verdict : '',
        ...cells,
      ]);
    });
    process.stdout.write(`\n${formatTable(['workload', '', 'port', 'no policy', 'nothing allowed'], rows)}\n`);
    await cleanUp(shell);
  });

  async function ask(of: 'open' | 'denied'): Promise<string> {
    const targets = served().flatMap((one) =>
      one.ports.map(([port, protocol]) => ({ key: keyOf(one, port), target: [addresses.get(one.app), port, protocol] })),
    );
    const text = JSON.stringify(targets.map(({ target }) => target));
    const output = await printed(() => run(`kubectl exec -n keys client -- node /app/stand-in.mjs ask '${text}'`));
    const found = JSON.parse(output) as readonly string[];
    for (const [at, { key }] of targets.entries()) answers[of].set(key, found[at] ?? '');
    return JSON.stringify(Object.fromEntries(answers[of]));
  }

  function expected(of: 'open' | 'denied'): string {
    const entries = served().flatMap((one) =>
      one.ports.map(([port, protocol]) => {
        const key = keyOf(one, port);
        const isOpen = of === 'open' || BYPASSES.includes(key);
        const unreachable = one.name === LOOPBACK && isOpen;
        return [key, unreachable ? '503' : ANSWERS[protocol][isOpen ? 0 : 1]];
      }),
    );
    return JSON.stringify(Object.fromEntries(entries));
  }

  it('start, and are ready', async function () {
    this.timeout(400_000);
    for (const { manifest } of workloads) await shell.run('kubectl apply -n foo -f -', { input: manifest });
    await run('kubectl create job -n foo cron-now --from=cronjob/cron');
    for (const { app } of served()) {
      await run(`kubectl wait -n foo --for=create pod -l app=${app} --timeout=120s`);
      await shell.run(`kubectl wait -n foo --for=condition=Ready pod -l app=${app} --timeout=240s`, { timeoutMs: 250_000 });
      addresses.set(app, await run(`kubectl get pods -n foo -l app=${app} -o jsonpath='{.items[0].status.podIP}'`));
      expect(await run(`kubectl get pods -n foo -l app=${app} -o jsonpath='{.items[0].spec.initContainers[*].name}'`)).to.contain(
        'sallyport-agent',
      );
    }
    for (const job of ['job', 'cron-now']) await run(`kubectl wait -n foo --for=condition=Complete job/${job} --timeout=60s`);
  });

  it('answer on every port when no policy selects them', async function () {
    this.timeout(90_000);
    await run('kubectl wait -n keys --for=condition=Ready pod/client --timeout=60s');
    await eventually(
      'every port to answer',
      () => ask('open'),
      (answer) => answer === expected('open'),
      { withinMs: 60_000 },
    );
  });

  it('answer on no port when nothing is allowed, and stay ready', async function () {
    this.timeout(120_000);
    await shell.apply('apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: nothing, namespace: foo }\nspec: {}');
    await run('kubectl wait -n foo --for=condition=Ready ap/nothing --timeout=30s');
    await eventually(
      'every port to be closed',
      () => ask('denied'),
      (answer) => answer === expected('denied'),
      { withinMs: 60_000 },
    );
    // The probe of hprobe asks the node, and jobs have ended.
    await run("kubectl wait -n foo --for=condition=Ready pod -l 'app notin (hprobe, job, cron)' --timeout=60s");
  });

  it('are named with the reason where the agent does not see all of them', async function () {
    this.timeout(300_000);
    const events = async (name: string): Promise<string> => {
      const app = workloads.find((one) => one.name === name)?.app ?? '';
      return run(
        `kubectl get events -n foo -o jsonpath='{range .items[*]}{.involvedObject.name} {.message}{"\\n"}{end}' | grep '^${app}[ -]'`,
      );
    };
    const named = [...Object.entries(WARNED), ...Object.entries(WITHOUT_AGENT)];
    // Only a leader records events, about new pods: on a busy machine none may have led when the first ones started.
    for (const [name] of named)
      await run(`kubectl delete pod -n foo -l app=${workloads.find((one) => one.name === name)?.app} --wait=false`);
    for (const [name, reason] of named)
      await eventually(
        `an event about ${name}`,
        () => events(name),
        (text) => reason.test(text),
        { withinMs: 60_000 },
      );
  });
});
