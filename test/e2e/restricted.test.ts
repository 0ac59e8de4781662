/*
 * The JWT task in a namespace that enforces the Pod Security level restricted: installed by Helm with `capture.mode: node`, agents by the
 * webhook, connections redirected by the DaemonSet of the node. Then the DaemonSet is absent, late, killed, restarted and upgraded, and a
 * sandbox is created again, as a reboot of the node does. Steps build on each other, so a failure ends the suite.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { refusedRequests } from '../cluster/audit.ts';
import type { TestNode } from '../cluster/node.ts';
import { cleanUp } from './support/clean-up.ts';
import { eventually } from './support/eventually.ts';
import { httpbinManifest, issuerManifest, requestAuthentication, requireGroup, requireJwt, sleepManifest } from './support/manifests.ts';
import { type Figure, printReport } from './support/report.ts';
import { sharedNode } from './support/shared-node.ts';
import type { Shell } from './support/shell.ts';
import { stopAtFailure } from './support/steps.ts';
import { createTask, type Task } from './support/task.ts';
import { type TaskTokens, taskTokens } from './support/tokens.ts';

const TITLE = 'the JWT task in a restricted namespace, redirected by the node';
const DAEMON_SET = 'daemonset/sallyport-node -n sallyport-node';
const OF_NODE = '-n sallyport-node -l app.kubernetes.io/component=node';
/** What `restricted` demands of the containers of the task itself. */
const SECURITY =
  'securityContext: { runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] }, seccompProfile: { type: RuntimeDefault } }';

const restricted = (manifest: string): string =>
  manifest.replace(/\n {10}securityContext: .*/, '').replace(/(\n {10}imagePullPolicy: Never)/g, `$1\n          ${SECURITY}`);

describe(TITLE, () => {
  let node: TestNode;
  let shell: Shell;
  let tokens: TaskTokens;
  let task: Task;
  const figures: Figure[] = [];
  const run = (command: string): Promise<string> => shell.run(command);
  const podOf = (app: string, path: string): Promise<string> =>
    run(`kubectl get pods -n foo -l app=${app} -o jsonpath='{.items[*]${path}}'`);
  const helm = (verb: string, ...values: readonly string[]): Promise<string> => {
    const sets = ['capture.mode=node', `capture.node.netnsDirectory=${node.netnsDirectory}`, ...values].map((text) => `--set ${text}`);
    return run(`helm ${verb} sallyport charts/sallyport -n sallyport-system --create-namespace ${sets.join(' ')} --wait --timeout 90s`);
  };
  const expectGuarded = async (state: string): Promise<void> => {
    await task.expectCode(state, 'TOKEN_GROUP', '200', 'atOnce');
    await task.expectCode(state, 'TOKEN', '403', 'atOnce');
    await task.expectCode(state, 'invalidToken', '401', 'atOnce');
  };

  before(async function () {
    this.timeout(300_000);
    tokens = await taskTokens();
    ({ shell, node } = await sharedNode());
    task = createTask(shell, tokens);
    await cleanUp(shell);
  });

  stopAtFailure(() => shell);

  after(async function () {
    this.timeout(180_000);
    printReport(TITLE, task.rows(), figures);
    await cleanUp(shell);
  });

  it('is refused with what to do about it while init containers redirect', async function () {
    this.timeout(180_000);
    await run('helm install sallyport charts/sallyport -n sallyport-system --create-namespace --wait --timeout 90s');
    await run('kubectl create namespace foo');
    await run('kubectl label namespace foo sallyport.dev/injection=enabled pod-security.kubernetes.io/enforce=restricted');
    await shell.apply(issuerManifest(tokens.jwks));

    const refusal = 'kubectl run probe -n foo --image=sallyport/sleep:example --image-pull-policy=Never';
    const answer = await eventually(
      'the refusal',
      async () => (await shell.attempt(refusal)).stderr,
      (text) => text.includes('capture.mode=node'),
    );

    expect(answer).to.contain('the namespace enforces the Pod Security level "restricted"');
  });

  it('starts pods without any right of theirs when a DaemonSet redirects', async function () {
    this.timeout(180_000);
    await helm('upgrade');
    await run(`kubectl rollout status ${DAEMON_SET} --timeout=60s`);
    const started = performance.now();

    await shell.apply(restricted(httpbinManifest), restricted(sleepManifest));
    await run('kubectl rollout status -n foo deployment/httpbin --timeout=60s');
    await run('kubectl rollout status -n foo deployment/sleep --timeout=60s');
    figures.push({ what: 'both Deployments ready', text: `${((performance.now() - started) / 1000).toFixed(1)} s` });
    await run('kubectl wait --for=condition=Ready -n keys pod/issuer --timeout=60s');

    for (const app of ['httpbin', 'sleep']) {
      expect(await podOf(app, '.spec.initContainers[*].name')).to.equal('sallyport-init sallyport-agent');
      expect(await podOf(app, '.spec.initContainers[0].args[0]')).to.equal('wait');
      expect(await podOf(app, '.spec.initContainers[*].securityContext.capabilities')).to.equal('{"drop":["ALL"]} {"drop":["ALL"]}');
    }
    expect(await run('kubectl get namespace foo -o jsonpath={.metadata.labels}')).to.contain(
      '"pod-security.kubernetes.io/enforce":"restricted"',
    );
  });

  it('enforces each step of the task', async () => {
    await task.expectCode('no policy', 'none', '200', 'atOnce');
    await task.expectCode('no policy', 'invalidToken', '200', 'atOnce');

    await shell.apply(requestAuthentication);
    await run('kubectl wait --for=condition=Ready ra/jwt-example -n foo --timeout=20s');
    await task.expectCode('RequestAuthentication', 'invalidToken', '401');
    await task.expectCode('RequestAuthentication', 'none', '200', 'atOnce');
    await task.expectCode('RequestAuthentication', 'TOKEN', '200', 'atOnce');

    await shell.apply(requireJwt);
    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'none', '403');
    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'TOKEN', '200', 'atOnce');
    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'invalidToken', '401', 'atOnce');

    await shell.apply(requireGroup);
    await task.expectCode('+ claim groups', 'TOKEN', '403');
    await task.expectCode('+ claim groups', 'TOKEN_GROUP', '200', 'atOnce');
    await task.expectCode('+ claim groups', 'none', '403', 'atOnce');
  });

  it('counts the workload as guarded', async () => {
    const enforced = `kubectl get ap/require-jwt -n foo -o jsonpath='{.status.conditions[?(@.type=="Enforced")].status}'`;
    await eventually(
      'the condition Enforced',
      () => run(enforced),
      (status) => status === 'True',
    );
  });

  it('redirects again when the sandbox of a pod is created again', async function () {
    this.timeout(120_000);
    const uid = await podOf('httpbin', '.metadata.uid');
    const address = await podOf('httpbin', '.status.podIP');
    const before = await podOf('httpbin', '.status.initContainerStatuses[?(@.name=="sallyport-init")].restartCount');

    process.kill(pauseOf(uid), 'SIGKILL');

    await eventually(
      'the init container to run again',
      () => podOf('httpbin', '.status.initContainerStatuses[?(@.name=="sallyport-init")].restartCount'),
      (count) => Number(count) > Number(before),
      { withinMs: 60_000 },
    );
    await run('kubectl wait --for=condition=Ready pod -n foo -l app=httpbin --timeout=60s');
    expect(await podOf('httpbin', '.metadata.uid')).to.equal(uid);
    expect(await podOf('httpbin', '.status.podIP')).to.not.equal(address);
    await task.expectCode('sandbox created again', 'TOKEN_GROUP', '200');
    await task.expectCode('sandbox created again', 'TOKEN', '403', 'atOnce');
    await task.expectCode('sandbox created again', 'none', '403', 'atOnce');
  });

  it('keeps running pods guarded while the DaemonSet is killed, restarted, upgraded and absent', async function () {
    this.timeout(240_000);
    await run(`kubectl delete pod ${OF_NODE} --grace-period=0 --force`);
    await expectGuarded('DaemonSet killed');
    await run(`kubectl rollout status ${DAEMON_SET} --timeout=60s`);
    await run(`kubectl rollout restart ${DAEMON_SET}`);
    await run(`kubectl rollout status ${DAEMON_SET} --timeout=60s`);
    await expectGuarded('DaemonSet restarted');
    await helm('upgrade', 'capture.node.podAnnotations.upgraded=yes');
    await run(`kubectl rollout status ${DAEMON_SET} --timeout=60s`);
    await expectGuarded('DaemonSet upgraded');
    await run(`kubectl patch ${DAEMON_SET} -p '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"x"}}}}}'`);
    await run(`kubectl wait --for=delete pod ${OF_NODE} --timeout=60s`);
    await expectGuarded('DaemonSet absent');
  });

  it('does not start a new pod while the DaemonSet is absent, says why, and starts it when it is there', async function () {
    this.timeout(180_000);
    await run('kubectl scale -n foo deployment/httpbin --replicas=2');
    const waiting = `kubectl logs -n foo -l app=httpbin -c sallyport-init --tail=-1`;
    await eventually(
      'the message of the new pod',
      () => run(waiting),
      (text) => text.includes('is its pod on node node1 ready?'),
    );
    expect(await podOf('httpbin', '.status.phase')).to.contain('Pending');

    await run(`kubectl patch ${DAEMON_SET} --type=json -p '[{"op":"remove","path":"/spec/template/spec/nodeSelector/nowhere"}]'`);
    await run('kubectl rollout status -n foo deployment/httpbin --timeout=90s');
    await task.expectCode('DaemonSet late', 'TOKEN_GROUP', '200');
    await task.expectCode('DaemonSet late', 'none', '403', 'atOnce');
  });

  it('does not go on when a pod is deleted that waits', async function () {
    this.timeout(120_000);
    await run(`kubectl patch ${DAEMON_SET} -p '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"x"}}}}}'`);
    await run(`kubectl wait --for=delete pod ${OF_NODE} --timeout=60s`);
    await run('kubectl scale -n foo deployment/sleep --replicas=2');
    await eventually(
      'a pod that waits',
      () => podOf('sleep', '.status.phase'),
      (phases) => phases.includes('Pending'),
    );
    await run('kubectl scale -n foo deployment/sleep --replicas=1');
    await eventually(
      'one pod that runs',
      () => podOf('sleep', '.status.phase'),
      (phases) => phases === 'Running',
      { withinMs: 60_000 },
    );
  });

  it('has sent no request that the roles of the DaemonSet do not allow', async function () {
    const { auditLogPath } = node;
    if (auditLogPath === undefined) return this.skip();
    const refused = await refusedRequests(auditLogPath);

    expect(refused.filter(({ user }) => user.startsWith('system:serviceaccount:sallyport-node:'))).to.deep.equal([]);
  });

  it('uninstalls with the namespace of the DaemonSet', async function () {
    this.timeout(180_000);
    await shell.run('kubectl delete namespace foo --timeout=90s', { timeoutMs: 100_000 });
    await run('helm uninstall sallyport -n sallyport-system --wait --timeout 60s');
    await run('kubectl wait --for=delete namespace/sallyport-node --timeout=60s');

    expect(await run('kubectl get clusterrole,clusterrolebinding -o name')).to.not.contain('sallyport-node');
  });
});

/** Process of the pause container of a pod. */
function pauseOf(uid: string): number {
  const found = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isPauseOf(name, uid));
  if (found.length !== 1) throw new Error(`${found.length} sandboxes of pod ${uid}`);
  return Number(found[0]);
}

function isPauseOf(pid: string, uid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('/pause') && readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(uid);
  } catch {
    // It has ended.
    return false;
  }
}
