/*
 * A cluster for the commands that read one: an API server, a controller, the namespace `shop` with a Deployment `web` whose two pods
 * have agents, a bare pod, and policies.
 */
import type { WrittenObject } from '../../src/cluster/kube-object.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type CliResult, runCommand } from './cli-context.ts';
import { type ControllerProcess, startController } from './controller-process.ts';
import { ACCOUNT, AP, manifests, RA, RIGHTS } from './controller-stage.ts';
import { until } from './fake-clock.ts';
import { injected } from './guarded-pods.ts';
import { openPolicyCluster, type PolicyCluster, trustOf } from './policy-cluster.ts';

/** Namespace of the workloads. */
export const SHOP = 'shop';
/** Names of the pods of `web`. */
export const PODS_OF_WEB: readonly string[] = ['web-6b8c9f-aaaaa', 'web-6b8c9f-bbbbb'];
/** Name of the first slot of the bundle of `web`. */
export const BUNDLE_OF_WEB = 'sallyport-bundle-deployment.web.0';

const SYSTEM = 'sallyport-system';
const PATIENCE_MS = 45_000;
/** A symmetric key of 32 bytes: only bundles of the namespace of its policy have it. */
const SECRET_JWK = { kty: 'oct', kid: 'h', alg: 'HS256', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMyYiE' };

/** What the hooks of one describe start. */
export interface LiveStage {
  plane: ControlPlane;
  cluster: PolicyCluster;
  controller: ControllerProcess;
  /** What `check -n shop` did before the CRDs existed. */
  withoutCrds: CliResult;
  /** Runs a command with the administrator's kubeconfig, or `as` another. */
  readonly run: (
    args: readonly string[],
    options?: { readonly as?: string; readonly stdin?: string; readonly cwd?: string },
  ) => Promise<CliResult>;
}

/** Registers the hooks of one describe. */
export function setUpLive(): LiveStage {
  const stage = {
    run: (args, { as, stdin, cwd } = {}) =>
      runCommand([...args, '--kubeconfig', as ?? stage.plane.kubeconfigPath], {
        ...(stdin === undefined ? {} : { stdin }),
        ...(cwd === undefined ? {} : { cwd }),
      }),
  } as LiveStage;

  before(async () => {
    stage.plane = await startControlPlane();
    stage.withoutCrds = await stage.run(['check', '-n', SHOP]);
    stage.cluster = await openPolicyCluster(stage.plane.kubeconfigPath);
    for (const object of manifests()) if (RIGHTS.includes(object.kind)) await stage.cluster.apply(object);
    for (const name of [SHOP, 'other']) await stage.cluster.namespace(name);
    stage.controller = await startController({
      kubeconfig: await stage.plane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]),
      name: 'controller',
      namespace: SYSTEM,
    });
    await until(async () => (await trustOf(stage.cluster.client)).anchor.includes('"x"'), 'the signing keys', PATIENCE_MS);
    await fill(stage.cluster);
    await until(async () => rulesOf(await stage.cluster.bundle(SHOP, 'web', 'deployment')) === 2, 'the bundle of web', PATIENCE_MS);
  });

  after(async () => {
    await stage.controller?.stop();
    await stage.cluster?.close();
    await stage.plane?.stop();
  });
  return stage;
}

async function fill(cluster: PolicyCluster): Promise<void> {
  const trust = await trustOf(cluster.client);
  for (const name of PODS_OF_WEB) await cluster.apply(injected(podOfWeb(name), trust) as unknown as WrittenObject);
  await cluster.pod({ namespace: SHOP, name: 'bare', labels: { app: 'bare' }, agent: false });
  await cluster.policy(RA, 'jwt', SHOP, {
    selector: { matchLabels: { app: 'web' } },
    jwtRules: [{ issuer: 'me', jwks: JSON.stringify({ keys: [SECRET_JWK] }) }],
  });
  await cluster.policy(AP, 'no-admin', SHOP, { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }] });
  await cluster.policy(AP, 'readers', SHOP, {
    selector: { matchLabels: { app: 'web' } },
    rules: [{ from: [{ source: { requestPrincipals: ['me/*'] } }], to: [{ operation: { methods: ['GET'] } }] }],
  });
  await cluster.policy(AP, 'nowhere', SHOP, { selector: { matchLabels: { app: 'none' } }, rules: [{}] });
}

function podOfWeb(name: string): object {
  const owner = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: 'web-6b8c9f',
    uid: '00000000-0000-4000-8000-000000000001',
    controller: true,
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: SHOP,
      name,
      labels: { app: 'web', 'pod-template-hash': '6b8c9f' },
      ownerReferences: [owner],
    },
    spec: { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'app:1', ports: [{ containerPort: 8080 }] }] },
  };
}

function rulesOf(bundle: Awaited<ReturnType<PolicyCluster['bundle']>>): number {
  const { http } = bundle?.programs[0] ?? {};
  return (http?.deny.rules.length ?? 0) + (http?.allow.rules.length ?? 0);
}
