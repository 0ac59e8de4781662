/*
 * The same task with kubectl only: installed by `kubectl apply -k manifests/`, agents injected into the manifests by `sallyport
 * inject`, in a namespace without injection. Tests of the controller are not repeated, except for a pod that starts while the
 * controller is stopped, because here no webhook prevents its start.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cleanUp } from './support/clean-up.ts';
import { eventually } from './support/eventually.ts';
import {
  httpbinManifest,
  issuerManifest,
  jwksUri,
  requestAuthentication,
  requireGroup,
  requireJwt,
  sleepManifest,
} from './support/manifests.ts';
import { printReport } from './support/report.ts';
import { sharedNode } from './support/shared-node.ts';
import type { Shell } from './support/shell.ts';
import { stopAtFailure } from './support/steps.ts';
import type { Task } from './support/task.ts';
import { createTask } from './support/task.ts';
import type { TaskTokens } from './support/tokens.ts';
import { taskTokens } from './support/tokens.ts';

const controller = 'deployment -n sallyport-system -l app.kubernetes.io/name=sallyport';

describe('the JWT task, installed by kubectl, agents by sallyport inject', () => {
  let shell: Shell;
  let tokens: TaskTokens;
  let task: Task;

  const run = (command: string): Promise<string> => shell.run(command);
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-anchor-'));
  const anchor = join(directory, 'anchor.json');
  const inject = `sallyport inject --trust-anchor ${anchor} -f - | kubectl apply -f -`;

  before(async function () {
    this.timeout(300_000);
    tokens = await taskTokens();
    ({ shell } = await sharedNode());
    task = createTask(shell, tokens);
    await cleanUp(shell);
  });

  stopAtFailure(() => shell);

  after(async function () {
    this.timeout(180_000);
    printReport('the JWT task, installed by kubectl, agents by sallyport inject', task.rows(), []);
    await cleanUp(shell);
    rmSync(directory, { recursive: true, force: true });
  });

  it('becomes ready when installed by kubectl', async () => {
    await run('kubectl apply --server-side -k manifests/');
    await run(`kubectl rollout status --timeout=60s ${controller}`);
    await run(`sallyport keys show --anchor > ${anchor}`);
  });

  it('injects an agent into each pod template', async () => {
    await run('kubectl create namespace foo');
    await shell.apply(issuerManifest(tokens.jwks));
    for (const manifest of [httpbinManifest, sleepManifest]) {
      await shell.run(inject, { input: manifest });
    }
    await run('kubectl rollout status -n foo deployment/httpbin --timeout=60s');
    await run('kubectl rollout status -n foo deployment/sleep --timeout=60s');
    await run('kubectl wait --for=condition=Ready -n keys pod/issuer --timeout=60s');

    for (const app of ['httpbin', 'sleep']) {
      const names = await run(`kubectl get pods -n foo -l app=${app} -o jsonpath='{.items[*].spec.initContainers[*].name}'`);
      expect(names).to.equal('sallyport-init sallyport-agent');
    }
  });

  it('enforces each step of the task', async () => {
    await task.expectCode('no policy', 'none', '200', 'atOnce');

    await shell.apply(requestAuthentication);
    await run('kubectl wait --for=condition=Ready ra/jwt-example -n foo --timeout=20s');
    await task.expectCode('RequestAuthentication', 'invalidToken', '401');
    await task.expectCode('RequestAuthentication', 'none', '200', 'atOnce');

    await shell.apply(requireJwt);
    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'none', '403');
    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'TOKEN', '200', 'atOnce');

    await shell.apply(requireGroup);
    await task.expectCode('+ claim groups', 'TOKEN', '403');
    await task.expectCode('+ claim groups', 'TOKEN_GROUP', '200', 'atOnce');
    await task.expectCode('+ claim groups', 'own string', '200', 'atOnce');
  });

  it('enforces the last good policies in a new pod while the controller is stopped', async () => {
    await run(`kubectl scale --replicas=0 ${controller}`);
    await run('kubectl wait --for=delete pod -n sallyport-system -l app.kubernetes.io/name=sallyport --timeout=60s');

    await run('kubectl delete pod -n foo -l app=httpbin --timeout=60s');
    await run('kubectl rollout status -n foo deployment/httpbin --timeout=60s');

    await task.expectCode('new pod, controller away', 'TOKEN_GROUP', '200');
    await task.expectCode('new pod, controller away', 'TOKEN', '403', 'atOnce');
    await task.expectCode('new pod, controller away', 'invalidToken', '401', 'atOnce');
  });

  it('keeps a new workload closed until the controller runs again', async () => {
    const other = `${httpbinManifest}`.replaceAll('httpbin', 'newcomer').replaceAll('sallyport/newcomer', 'sallyport/httpbin');
    await shell.run(inject, { input: other });
    const code = `kubectl exec -n foo deploy/sleep -c sleep -- curl -sS -o /dev/null -w '%{http_code}' "http://$(kubectl get pod -n foo -l app=newcomer -o jsonpath={.items..status.podIP}):8080/headers"`;

    await eventually(
      '503 of an agent without a bundle',
      () => run(code),
      (answer) => answer === '503',
      { withinMs: 30_000 },
    );
    expect(
      await run(`kubectl get pods -n foo -l app=newcomer -o jsonpath='{.items[*].status.conditions[?(@.type=="Ready")].status}'`),
    ).to.equal('False');

    await run(`kubectl scale --replicas=1 ${controller}`);
    await run('kubectl rollout status -n foo deployment/newcomer --timeout=60s');
    expect(await run(code)).to.equal('200');
  });

  it('leaves nothing behind when the namespace is deleted', async () => {
    await shell.run('kubectl delete namespace foo --timeout=90s', { timeoutMs: 100_000 });

    expect(await run('kubectl get configmaps -A -l app.kubernetes.io/managed-by=sallyport -o name')).to.equal('');
  });

  it('runs the samples unchanged, with a local issuer', async () => {
    await run('kubectl create namespace foo');
    await run('kubectl label namespace foo sallyport.dev/injection=enabled');
    await run('kubectl apply -n foo -f manifests/samples/httpbin.yaml -f manifests/samples/sleep.yaml');
    await run(`sed 's#jwksUri: .*#jwksUri: ${jwksUri}#' manifests/samples/policies.yaml | kubectl apply -n foo -f -`);
    await run('kubectl rollout status -n foo deployment/httpbin --timeout=60s');
    await run('kubectl rollout status -n foo deployment/sleep --timeout=60s');
    await run('kubectl wait --for=condition=Ready ra/jwt-example ap/require-jwt -n foo --timeout=20s');

    await task.expectCode('samples', 'none', '403');
    await task.expectCode('samples', 'TOKEN', '200', 'atOnce');
    await task.expectCode('samples', 'invalidToken', '401', 'atOnce');
    await shell.run('kubectl delete namespace foo --timeout=90s', { timeoutMs: 100_000 });
  });

  it('uninstalls by kubectl', async () => {
    await run('kubectl delete -k manifests/ --timeout=60s');

    expect(await run('kubectl get namespaces -o name')).to.not.contain('sallyport-system');
  });
});
