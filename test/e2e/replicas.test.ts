/*
 * The feed on a real cluster, installed by Helm with two replicas: `kubectl wait --for=condition=Programmed` is enough to know that every agent
 * enforces an edit, whichever replica it holds its stream to, also when the leader goes.
 */
import { expect } from 'chai';
import { cleanUp } from './support/clean-up.ts';
import { eventually } from './support/eventually.ts';
import { httpbinManifest, policy, sleepManifest } from './support/manifests.ts';
import { sharedNode } from './support/shared-node.ts';
import type { Shell } from './support/shell.ts';
import { stopAtFailure } from './support/steps.ts';

const AGENTS = 4;
const SELECT = 'selector: { matchLabels: { app: httpbin } }';

describe('the feed with two replicas, installed by Helm', () => {
  let shell: Shell;
  const run = (command: string): Promise<string> => shell.run(command);
  const replicas = async (): Promise<readonly string[]> =>
    (await run(`kubectl get pods -n sallyport-system -l app.kubernetes.io/name=sallyport -o jsonpath='{.items[*].metadata.name}'`)).split(
      ' ',
    );
  const leader = (): Promise<string> =>
    run(`kubectl get lease -n sallyport-system sallyport-controller -o jsonpath='{.spec.holderIdentity}'`).then((holder) =>
      holder.slice(0, holder.lastIndexOf('_')),
    );
  const metric = async (pod: string, name: string): Promise<number> => {
    const text = await run(`kubectl get --raw /api/v1/namespaces/sallyport-system/pods/${pod}:8080/proxy/metrics`);
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  };
  const edit = async (path: string): Promise<void> => {
    await shell.apply(policy('edited', `${SELECT}, action: DENY, rules: [{ to: [{ operation: { paths: ["${path}"] } }] }]`));
    await run('kubectl wait --for=condition=Programmed ap/edited -n foo --timeout=30s');
  };
  /** Status codes of requests to each pod of httpbin, in order. */
  const statuses = async (path: string): Promise<string> => {
    const addresses = await run(`kubectl get pods -n foo -l app=httpbin -o jsonpath='{.items[*].status.podIP}'`);
    const urls = addresses.split(' ').map((address) => `http://${address}:8080${path}`);
    return run(
      `kubectl exec -n foo deploy/sleep -c sleep -- curl -s ${urls.map((url) => `-o /dev/null ${url}`).join(' ')} -w '%{http_code} '`,
    );
  };
  const all = (status: string): string => Array.from({ length: AGENTS }, () => status).join(' ');
  /** Each replica has some of the streams, and the leader knows of those of the other. */
  const streams = async (): Promise<string> => {
    const [leading, pods] = [await leader(), await replicas()];
    const open = await Promise.all(pods.map((pod) => metric(pod, 'sallyport_feed_streams')));
    const relayed = await metric(leading, 'sallyport_feed_relayed_streams');
    const elsewhere = open.filter((_, at) => pods[at] !== leading).reduce((sum, count) => sum + count, 0);
    return `${open.reduce((sum, count) => sum + count, 0)} streams, ${relayed === elsewhere ? 'all' : 'not all'} known to the leader`;
  };

  before(async function () {
    this.timeout(300_000);
    ({ shell } = await sharedNode());
    await cleanUp(shell);
  });

  stopAtFailure(() => shell);

  after(async function () {
    this.timeout(180_000);
    await cleanUp(shell);
  });

  it('gives every agent a stream to one of the replicas', async () => {
    await run(
      'helm install sallyport charts/sallyport --namespace sallyport-system --create-namespace --wait --timeout 60s --set feed.enabled=true --set replicaCount=2',
    );
    await run('kubectl create namespace foo');
    await run('kubectl label namespace foo sallyport.dev/injection=enabled');
    await shell.apply(httpbinManifest, sleepManifest);
    await run(`kubectl scale -n foo deployment/httpbin --replicas=${AGENTS}`);
    for (const name of ['httpbin', 'sleep']) await run(`kubectl rollout status -n foo deployment/${name} --timeout=60s`);
    await eventually('a stream of each agent', streams, (text) => text === `${AGENTS + 1} streams, all known to the leader`);
  });

  it('enforces each edit everywhere as soon as the policy is programmed', async () => {
    for (let round = 1; round <= 5; round += 1) {
      await edit(`/status/20${round}`);
      expect(await statuses(`/status/20${round}`)).to.equal(all('403'));
      expect(await run(`kubectl get ap edited -n foo -o jsonpath='{.status.conditions[?(@.type=="Programmed")].message}'`)).to.equal(
        `Enforced by ${AGENTS} of ${AGENTS} agents`,
      );
    }
  });

  it('does so without the leader, which was deleted', async () => {
    const before = await leader();
    await run(`kubectl delete pod -n sallyport-system ${before} --wait=false`);
    await edit('/status/210');
    expect(await statuses('/status/210')).to.equal(all('403'));
    expect(await statuses('/status/201')).to.equal(all('201'));
    expect(await leader()).not.to.equal(before);
    await eventually('a stream of each agent', streams, (text) => text === `${AGENTS + 1} streams, all known to the leader`, {
      withinMs: 60_000,
    });
  });
});
