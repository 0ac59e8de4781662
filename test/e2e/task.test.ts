/*
 * The JWT task on a real cluster: installed by Helm, agents injected by the webhook, policies applied by kubectl, each request
 * sent with the command of the task. Then relabelled pods, a stopped controller, restarted agents, a deleted namespace. Steps
 * build on each other, so a failure ends the suite.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { refusedRequests } from '../cluster/audit.ts';
import { cleanUp } from './support/clean-up.ts';
import { eventually } from './support/eventually.ts';
import { taskImages } from './support/images.ts';
import {
  httpbinManifest,
  issuerManifest,
  policy,
  requestAuthentication,
  requireGroup,
  requireJwt,
  sleepManifest,
  volumeWatchManifest,
} from './support/manifests.ts';
import type { Figure } from './support/report.ts';
import { lapFigure, printReport, unavailableFigure } from './support/report.ts';
import { sharedNode } from './support/shared-node.ts';
import type { Shell } from './support/shell.ts';
import { stopAtFailure } from './support/steps.ts';
import type { Lap } from './support/stopwatch.ts';
import { startStopwatch } from './support/stopwatch.ts';
import type { Task } from './support/task.ts';
import { createTask } from './support/task.ts';
import type { TaskTokens } from './support/tokens.ts';
import { taskTokens } from './support/tokens.ts';

const controller = 'deployment -n sallyport-system -l app.kubernetes.io/name=sallyport';

describe('the JWT task, installed by Helm, agents by the webhook', () => {
  let shell: Shell;
  let tokens: TaskTokens;
  let task: Task;
  /** Seconds since boot when the first policy was published; for the volume that is not refreshed early. */
  let firstPublished = Number.NaN;
  const figures: Figure[] = [];
  let auditLog: string | undefined;
  /** Requests refused to another suite's controller, whose roles were deleted before it stopped. */
  let refusedBefore = 0;

  const run = (command: string): Promise<string> => shell.run(command);
  const restarts = (): Promise<string> =>
    run(
      `kubectl get pods -n foo -o jsonpath='{.items[*].status.containerStatuses[*].restartCount}{" "}{.items[*].status.initContainerStatuses[*].restartCount}'`,
    );
  const isReady = (app: string): Promise<string> =>
    run(`kubectl get pods -n foo -l app=${app} -o jsonpath='{.items[*].status.conditions[?(@.type=="Ready")].status}'`);
  const scaleController = async (replicas: number): Promise<void> => {
    await run(`kubectl scale --replicas=${replicas} ${controller}`);
    if (replicas > 0) await run(`kubectl rollout status --timeout=60s ${controller}`);
    else await run('kubectl wait --for=delete pod -n sallyport-system -l app.kubernetes.io/name=sallyport --timeout=60s');
  };

  before(async function () {
    this.timeout(300_000);
    tokens = await taskTokens();
    const shared = await sharedNode();
    shell = shared.shell;
    task = createTask(shell, tokens);
    await cleanUp(shell);
    auditLog = shared.node.auditLogPath;
    if (auditLog !== undefined) refusedBefore = (await refusedToController(auditLog)).length;
  });

  stopAtFailure(() => shell);

  after(async function () {
    this.timeout(180_000);
    printReport('the JWT task, installed by Helm, agents by the webhook', task.rows(), figures);
    await cleanUp(shell);
  });

  it('becomes ready when installed by Helm', async () => {
    const started = performance.now();

    await run('helm install sallyport charts/sallyport --namespace sallyport-system --create-namespace --wait --timeout 60s');

    figures.push({ what: 'helm install --wait', text: `${((performance.now() - started) / 1000).toFixed(1)} s` });
    expect(await run(`kubectl get ${controller} -o jsonpath='{.items[*].status.readyReplicas}'`)).to.match(/^[1-9]/);
  });

  it('explains its kinds', async () => {
    // The server offers a kind in its discovery documents some time after its definition.
    await eventually(
      'both kinds in the discovery',
      () => run('kubectl api-resources --api-group=security.istio.io --cached=false -o name'),
      (names) => /authorizationpolicies/.test(names) && /requestauthentications/.test(names),
    );
    expect(await run('kubectl explain ap.spec.rules.from')).to.match(/source/);
    expect(await run('kubectl explain ra.spec.jwtRules')).to.match(/jwksUri/);
    expect(await run('kubectl explain authorizationpolicy --api-version=security.istio.io/v1beta1')).to.match(/VERSION:\s+v1beta1/);
  });

  it('injects an agent into each pod of a labelled namespace', async () => {
    await run('kubectl create namespace foo');
    await run('kubectl label namespace foo sallyport.dev/injection=enabled');

    await shell.apply(issuerManifest(tokens.jwks), httpbinManifest, sleepManifest, volumeWatchManifest);
    await run('kubectl rollout status -n foo deployment/httpbin --timeout=60s');
    await run('kubectl rollout status -n foo deployment/sleep --timeout=60s');
    await run('kubectl wait --for=condition=Ready -n keys pod/issuer -n keys --timeout=60s');

    for (const app of ['httpbin', 'sleep']) {
      const names = await run(`kubectl get pods -n foo -l app=${app} -o jsonpath='{.items[*].spec.initContainers[*].name}'`);
      expect(names).to.equal('sallyport-init sallyport-agent');
    }
  });

  it('starts pods without a failed readiness probe of their agent', async () => {
    const failed = `kubectl get events -n foo --field-selector reason=Unhealthy -o jsonpath='{range .items[*]}{.involvedObject.fieldPath}: {.message}{"\\n"}{end}'`;

    expect((await run(failed)).split('\n').filter((line) => /\{sallyport-agent\}: Readiness/.test(line))).to.deep.equal([]);
  });

  it('allows every request without a policy', async () => {
    await task.expectCode('no policy', 'none', '200', 'atOnce');
    await task.expectCode('no policy', 'invalidToken', '200', 'atOnce');
  });

  it('refuses an invalid token with 401 with a RequestAuthentication, and allows a request without a token', async () => {
    await shell.apply(requestAuthentication);
    await run('kubectl wait --for=condition=Ready ra/jwt-example -n foo --timeout=20s');
    firstPublished = uptime();

    await task.expectCode('RequestAuthentication', 'invalidToken', '401');
    await task.expectCode('RequestAuthentication', 'none', '200', 'atOnce');
    await task.expectCode('RequestAuthentication', 'TOKEN', '200', 'atOnce');
    await task.expectCode('RequestAuthentication', 'own expired', '401', 'atOnce');
    await task.expectCode('RequestAuthentication', 'other key', '401', 'atOnce');
  });

  it("responds with Istio's texts", async () => {
    const answer = await task.show('invalidToken');

    expect(answer).to.contain('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections');
    expect(answer).to.match(/^www-authenticate: Bearer realm="http:\/\/httpbin\.foo:8000\/headers", error="invalid_token"\r?$/im);
  });

  it('allows only requests with the principal with an AuthorizationPolicy', async () => {
    await shell.apply(requireJwt);
    await run('kubectl wait --for=condition=Ready ap/require-jwt -n foo --timeout=20s');

    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'none', '403');
    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'TOKEN', '200', 'atOnce');
    await task.expectCode('+ AuthorizationPolicy on requestPrincipals', 'invalidToken', '401', 'atOnce');
  });

  it('removes the token from the request that the application gets, and nothing else', async () => {
    const answer = await task.show('TOKEN');

    expect(answer).to.contain('"host": "httpbin.foo:8000"');
    expect(answer.toLowerCase()).to.not.contain('authorization');
  });

  it('allows only the group when the policy requires the claim, as an array or as a string', async () => {
    await shell.apply(requireGroup);

    await task.expectCode('+ claim groups', 'TOKEN', '403');
    await task.expectCode('+ claim groups', 'TOKEN_GROUP', '200', 'atOnce');
    await task.expectCode('+ claim groups', 'own list', '200', 'atOnce');
    await task.expectCode('+ claim groups', 'own string', '200', 'atOnce');
    await task.expectCode('+ claim groups', 'none', '403', 'atOnce');
  });

  it('shows the policies and their state', async () => {
    await run('kubectl wait --for=condition=Accepted ra/jwt-example ap/require-jwt -n foo --timeout=20s');
    await run('kubectl wait --for=condition=Ready ra/jwt-example ap/require-jwt -n foo --timeout=20s');

    expect(await run('kubectl get ap -n foo')).to.match(/NAME.*\n.*require-jwt.*ALLOW/);
    const observed = `jsonpath='{.metadata.generation} {.status.conditions[?(@.type=="Ready")].observedGeneration}'`;
    expect(await run(`kubectl get ap/require-jwt -n foo -o ${observed}`)).to.equal('2 2');
  });

  it('rejects an invalid policy with field and reason, and keeps the valid one active', async () => {
    const { status, stderr } = await shell.attempt('kubectl apply -f -', {
      input: requireJwt.replace('"testing@secure.istio.io/testing@secure.istio.io"', '""'),
    });

    expect(status).to.not.equal(0);
    expect(stderr).to.match(/requestPrincipals|empty/i);
    await task.expectCode('+ claim groups, a bad edit refused', 'none', '403', 'atOnce');
    await task.expectCode('+ claim groups, a bad edit refused', 'TOKEN_GROUP', '200', 'atOnce');
  });

  it('reports keys that cannot be fetched in the status and in an event', async () => {
    await shell.apply(
      requestAuthentication.replace('jwt-example', 'no-keys').replace('issuer.keys', 'nobody.keys').replace('testing@', 'nobody@'),
    );

    const condition = `kubectl get ra/no-keys -n foo -o jsonpath='{.status.conditions[?(@.type=="Ready")].reason}'`;
    await eventually(
      'the reason in the status',
      () => run(condition),
      (reason) => reason === 'KeysUnavailable',
    );
    const events = `kubectl get events -n foo --field-selector involvedObject.name=no-keys,type=Warning -o jsonpath='{.items[*].reason}'`;
    await eventually(
      'the event',
      () => run(events),
      (reasons) => reasons.includes('KeysUnavailable'),
    );
    await task.expectCode('+ another issuer without keys', 'TOKEN_GROUP', '200', 'atOnce');
    await run('kubectl delete ra/no-keys -n foo');
  });

  it('changes the policies of a pod that is relabelled', async function () {
    this.timeout(180_000);
    await shell.apply(policy('closed-tier', 'selector: { matchLabels: { tier: closed } }, action: DENY, rules: [{}]'));
    await task.expectCode('+ DENY for tier=closed', 'TOKEN_GROUP', '200', 'atOnce');

    const stopwatch = await startStopwatch(shell);
    const laps: Lap[] = [];
    try {
      for (let lap = 0; lap < 2; lap++) {
        const label = (text: string): Promise<unknown> => run(`kubectl label pod -n foo -l app=httpbin ${text}`);
        laps.push(await stopwatch.time(() => label('tier=closed'), tokens.text.TOKEN_GROUP, '403'));
        laps.push(await stopwatch.time(() => label('tier-'), tokens.text.TOKEN_GROUP, '200'));
      }
    } finally {
      stopwatch.stop();
    }
    figures.push(lapFigure('pod relabelled, first request evaluated with the policies for its labels', laps));
    figures.push(unavailableFigure('the same, time with 503', laps));
    await run('kubectl delete ap/closed-tier -n foo');
  });

  it('gives a tenant with the role edit no way into the agent, its bundles or its annotations', async () => {
    await run('kubectl create rolebinding alice -n foo --clusterrole=edit --user=alice');
    const pod = await run('kubectl get pods -n foo -l app=httpbin -o jsonpath={.items[0].metadata.name}');
    const asTenant = (command: string): ReturnType<Shell['attempt']> => shell.attempt(`kubectl --as=alice -n foo ${command}`);
    for (const command of [
      `exec ${pod} -c sallyport-agent -- node -v`,
      `attach ${pod} -c sallyport-agent`,
      `cp ${pod}:/etc/hostname /dev/null -c sallyport-agent`,
      `annotate pod ${pod} sallyport.dev/agent-`,
      `set image pod/${pod} sallyport-agent=${taskImages.httpbin}`,
      `patch pod ${pod} --subresource=resize -p '{"spec":{"initContainers":[{"name":"sallyport-agent","resources":{"requests":{"cpu":"1m"}}}]}}'`,
      'delete configmap sallyport-bundle-deployment.httpbin.0',
      'patch configmap sallyport-bundle-index.0 --type=merge -p \'{"immutable":true}\'',
    ]) {
      const { status, stderr } = await asTenant(command);
      expect([command, status === 0], stderr).to.deep.equal([command, false]);
      expect(stderr, command).to.match(/ValidatingAdmissionPolicy|cannot \w+ resource "pods\/resize"/);
    }
    expect((await asTenant(`exec ${pod} -c httpbin -- node -v`)).status, 'a shell in the application').to.equal(0);
    await task.expectCode('a tenant tried', 'TOKEN', '403', 'atOnce');
    await task.expectCode('a tenant tried', 'TOKEN_GROUP', '200', 'atOnce');
  });

  it('keeps pods ready and alive while a policy denies the requests of their probes', async () => {
    const before = await restarts();
    await shell.apply(policy('deny-all', 'selector: { matchLabels: { app: httpbin } }, action: DENY, rules: [{}]'));
    await task.expectCode('+ DENY everything', 'TOKEN_GROUP', '403');

    // Longer than two failures of the liveness probe would take.
    await sleep(5_000);

    expect(await isReady('httpbin')).to.equal('True');
    expect(await restarts()).to.equal(before);
    await run('kubectl delete ap/deny-all -n foo');
    await task.expectCode('DENY taken away', 'TOKEN_GROUP', '200');
  });

  it('enforces a change within moments of kubectl apply', async function () {
    this.timeout(180_000);
    const denyAll = policy('deny-all', 'selector: { matchLabels: { app: httpbin } }, action: DENY, rules: [{}]');
    const stopwatch = await startStopwatch(shell);
    const measure = async (pauseMs: number, repetitions: number): Promise<readonly Lap[]> => {
      const laps: Lap[] = [];
      for (let lap = 0; lap < repetitions; lap++) {
        await sleep(pauseMs);
        laps.push(await stopwatch.time(() => shell.apply(denyAll), tokens.text.TOKEN_GROUP, '403'));
        await sleep(pauseMs);
        laps.push(await stopwatch.time(() => run('kubectl delete ap/deny-all -n foo'), tokens.text.TOKEN_GROUP, '200'));
      }
      return laps;
    };
    try {
      // A kubelet syncs a pod again at most a second after the last sync.
      const alone = await measure(1_200, 6);
      const succession = await measure(0, 4);

      figures.push(lapFigure('policy applied or deleted, first request evaluated with it', alone));
      figures.push(lapFigure('the same, each change right after the one before', succession));
      // The promise is two seconds; a busy machine may add to it.
      expect(Math.max(...[...alone, ...succession].map((lap) => lap.fromEndMs))).to.be.below(10_000);
    } finally {
      stopwatch.stop();
    }
  });

  it('keeps enforcing while the controller is stopped', async () => {
    await scaleController(0);

    await task.expectCode('controller away', 'TOKEN_GROUP', '200', 'atOnce');
    await task.expectCode('controller away', 'TOKEN', '403', 'atOnce');
    await task.expectCode('controller away', 'invalidToken', '401', 'atOnce');
  });

  it('restarts an agent with the last good policies while the controller is stopped', async () => {
    const before = await restarts();
    // The container may end before the command in it does; the restart counter is the fact that counts.
    await shell.attempt('kubectl exec -n foo deploy/httpbin -c sallyport-agent -- node -e "process.kill(1, \'SIGTERM\')"');
    await eventually('the agent to be restarted', restarts, (now) => now !== before);
    await run('kubectl wait --for=condition=Ready pod -n foo -l app=httpbin --timeout=60s');

    await task.expectCode('agent restarted, controller away', 'TOKEN_GROUP', '200');
    await task.expectCode('agent restarted, controller away', 'TOKEN', '403', 'atOnce');
    await task.expectCode('agent restarted, controller away', 'none', '403', 'atOnce');
  });

  it('prevents pods without an agent from starting while the controller is stopped', async () => {
    const { status, stderr } = await shell.attempt(
      'kubectl run unguarded -n foo --image=sallyport/sleep:example --image-pull-policy=Never',
    );

    expect(status).to.not.equal(0);
    expect(stderr).to.contain('failed calling webhook');
  });

  it('continues when the controller runs again', async () => {
    await scaleController(1);
    // The API server reaches the webhook as soon as kube-proxy knows its new address.
    await eventually(
      'the policy to be taken',
      () => shell.apply(requireJwt),
      (answer) => answer.includes('configured'),
    );

    await task.expectCode('controller back, claim no longer asked for', 'TOKEN', '200');
    await task.expectCode('controller back, claim no longer asked for', 'none', '403', 'atOnce');
  });

  it('measures how long the mounted volume takes without the kubelet resync annotation', async function () {
    this.timeout(180_000);
    const log = (): Promise<string> => run('kubectl logs -n foo volume-watch');
    const followed = (text: string): number | undefined =>
      text
        .split('\n')
        .map((line) => Number(line.split(' ')[0]))
        .find((at) => at > firstPublished);

    const waitedMs = (uptime() - firstPublished) * 1000;
    const text = await eventually('the volume to follow', log, (lines) => followed(lines) !== undefined, {
      withinMs: Math.max(1, 120_000 - waitedMs),
      everyMs: 1000,
    });

    const seconds = (followed(text) ?? Number.NaN) - firstPublished;
    figures.push({ what: 'mounted volume alone, no annotation touched', text: `${seconds.toFixed(1)} s, once` });
  });

  it('allows every request again when the policies are deleted', async () => {
    await run('kubectl delete ra,ap --all -n foo');

    await task.expectCode('policies deleted', 'invalidToken', '200');
    await task.expectCode('policies deleted', 'none', '200', 'atOnce');
  });

  it('leaves nothing behind when the namespace is deleted', async function () {
    this.timeout(120_000);
    expect(await run('kubectl get configmaps -n foo -l sallyport.dev/bundle -o name')).to.contain('sallyport-bundle-deployment.httpbin.0');

    const started = performance.now();
    await shell.run('kubectl delete namespace foo --timeout=90s', { timeoutMs: 100_000 });
    figures.push({ what: 'namespace deleted', text: `${((performance.now() - started) / 1000).toFixed(1)} s` });

    expect(await run('kubectl get configmaps -A -l app.kubernetes.io/managed-by=sallyport -o name')).to.equal('');
    expect(await run('kubectl get ra,ap -A -o name')).to.equal('');
  });

  it('fails `helm test` while another policy lets in what the test expects to be refused', async function () {
    this.timeout(300_000);
    const upgrade = (seconds: number): Promise<string> =>
      run(`helm upgrade sallyport charts/sallyport -n sallyport-system --set tests.patienceSeconds=${seconds} --wait --timeout 60s`);
    await upgrade(60);
    await shell.apply(policy('allow-all', 'rules: [{}]').replace('namespace: foo', 'namespace: default'));

    const { status, stderr } = await shell.attempt('helm test sallyport -n sallyport-system --timeout 150s', { timeoutMs: 160_000 });
    expect(status, stderr).to.not.equal(0);
    expect(await run('kubectl logs -n default sallyport-test-client')).to.contain('{"/allowed":200,"/denied":200}');
    await run('kubectl delete ap/allow-all -n default');
    await upgrade(120);
  });

  it('passes `helm test`: one request allowed, one denied, nothing left', async function () {
    this.timeout(180_000);
    const started = performance.now();
    await shell.run('helm test sallyport -n sallyport-system --timeout 150s', { timeoutMs: 160_000 });

    figures.push({ what: 'helm test', text: `${((performance.now() - started) / 1000).toFixed(1)} s` });
    expect(await run('kubectl get deployments,services,ap -n default -l app.kubernetes.io/part-of=sallyport -o name')).to.equal('');
  });

  it('has sent no request to the API server that its roles do not allow', async function () {
    if (auditLog === undefined) return this.skip();

    expect((await refusedToController(auditLog)).slice(refusedBefore)).to.deep.equal([]);
  });

  it('uninstalls without leftovers; only the CRDs stay, which hold the policies', async () => {
    await run('helm uninstall sallyport -n sallyport-system --wait --timeout 60s');

    const kinds = 'clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration';
    expect((await run(`kubectl get ${kinds} -o name`)).split('\n').filter((name) => name.includes('sallyport'))).to.deep.equal([]);
    expect(await run('kubectl get crd -o name')).to.contain('authorizationpolicies.security.istio.io');
  });
});

async function refusedToController(auditLog: string): Promise<readonly string[]> {
  const refused = await refusedRequests(auditLog);
  return refused
    .filter(({ user }) => user === 'system:serviceaccount:sallyport-system:sallyport')
    .map(({ code, verb, uri }) => `${code} ${verb} ${uri}`);
}

/** Seconds since boot, the same in every container of the node. */
function uptime(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
}
