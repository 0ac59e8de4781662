/*
 * `node test/bench/controller-memory.ts [--rules N] [--seconds N]`: resident memory of the whole controller, as built, on a real API server,
 * while the JWT rules of one namespace have N key sources that send almost 1 MiB each and never end. Needs `npm run build`. Prints one line of
 * JSON; the goal for 4,096 rules is less than 256 MiB.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startControlPlane } from '../cluster/control-plane.ts';
import { startController } from '../support/controller-process.ts';
import { ACCOUNT, manifests, RA, RIGHTS } from '../support/controller-stage.ts';
import { until } from '../support/fake-clock.ts';
import { ownAddress } from '../support/key-server.ts';
import { openPolicyCluster } from '../support/policy-cluster.ts';

const MIB = 1024 * 1024;
const SYSTEM = 'sallyport-system';
const NAMESPACE = 'hostile';
const RULES_PER_POLICY = 64;
/** As in Dockerfile.controller, with the heap that Node.js chooses for the memory limit of the chart. */
const FLAGS = '--max-semi-space-size=2 --max-old-space-size=256';
const CONTROLLER = fileURLToPath(new URL('../../dist/controller.mjs', import.meta.url));

const { values } = parseArgs({
  options: {
    rules: { type: 'string', default: '4096' },
    seconds: { type: 'string', default: '30' },
    serve: { type: 'string' },
  },
});

/** Responds to every request with most of a large document. */
async function serve(host: string): Promise<void> {
  const padding = Buffer.alloc(MIB - 1024, ' ');
  const server = createServer((_request, response) => void response.writeHead(200).write(padding));
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
  process.on('disconnect', () => process.exit());
}

/** Resident memory of a process now, and at most, in MiB. */
function memoryOf(pid: number): { readonly nowMiB: number; readonly mostMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mib = (field: string): number => Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024);
  return { nowMiB: mib('VmRSS'), mostMiB: mib('VmHWM') };
}

async function measure(rules: number, seconds: number): Promise<void> {
  const host = ownAddress();
  const servers = fork(import.meta.filename, ['--serve', host]);
  const [port] = (await once(servers, 'message')) as [number];
  const controlPlane = await startControlPlane();
  try {
    const cluster = await openPolicyCluster(controlPlane.kubeconfigPath);
    for (const object of manifests()) if (RIGHTS.includes(object.kind)) await cluster.apply(object);
    await cluster.namespace(NAMESPACE);
    const kubeconfig = await controlPlane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]);
    const controller = await startController({
      kubeconfig,
      name: 'one',
      namespace: SYSTEM,
      entry: CONTROLLER,
      level: 'info',
      env: { NODE_OPTIONS: FLAGS },
    });
    await until(
      async () => (await controller.metric('leader_election_master_status{name="sallyport-controller"}')) === 1,
      'the leader',
      60_000,
    );
    await cluster.pod({ namespace: NAMESPACE, name: 'httpbin', labels: { app: 'httpbin' } });
    const { nowMiB: idleMiB } = memoryOf(controller.pid);
    for (let first = 0; first < rules; first += RULES_PER_POLICY) {
      const jwtRules = Array.from({ length: Math.min(RULES_PER_POLICY, rules - first) }, (_, at) => ({
        issuer: `i${first + at}`,
        jwksUri: `http://${host}:${port}/${first + at}`,
        timeout: '20s',
      }));
      await cluster.policy(RA, `jwt-${first}`, NAMESPACE, { jwtRules });
    }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const { nowMiB, mostMiB } = memoryOf(controller.pid);
    process.stdout.write(`${JSON.stringify({ rules, idleMiB, nowMiB, mostMiB })}\n`);
    await controller.stop();
    await cluster.close();
  } finally {
    servers.disconnect();
    await controlPlane.stop();
  }
}

if (values.serve === undefined) await measure(Number(values.rules), Number(values.seconds));
else await serve(values.serve);
